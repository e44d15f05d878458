# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The steering of a compiled program on a live Hugging Face model.

    steering = weir.attach(model, "steered", plan="food")
    model.generate(**tokenizer("I think", return_tensors="pt"))
    steering.detach()

What runs is what `weirc build` made: the calls that it put into the program (see patches.py), with its kernels if there
are any, at the places where the model's own code has the same values.
"""

from __future__ import annotations

import contextlib
import inspect
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Mapping, Sequence

from .errors import WeirError
from .programs import FIRST_PLAN, Program, load
from .stats import EditStats, Records

if TYPE_CHECKING:
    import torch

# Two programs on one model would each edit what the other one made, which neither was built for.
_attached: "weakref.WeakKeyDictionary[object, Attached]" = weakref.WeakKeyDictionary()

# How far apart numbers of the program and of the model may be, as a part of the largest, when it is attached. They
# are computed by other attention code; 16 bits have 8 binary digits, which layers add up.
_CLOSE = {4: 1e-3, 2: 0.15}


class _Pass:
    """One forward pass of the model under way."""

    def __init__(self, values: dict, positions, plans: list[int]):
        self.values, self.positions, self.plans = values, positions, plans
        self.done = 0


class _Text(threading.local):
    """What a thread knows of the texts that it runs."""

    def __init__(self):
        self.now: _Pass | None = None
        self.generating: dict | None = None
        self.lengths: list[int] | None = None
        self.cache = None
        self.state: dict = {}


class Attached:
    """A live model that is steered. Use it as a `with` block, or call `detach`.

    plans, knobs, records, fixed   as of weir.Program
    recorded  by name, what record policies wrote in the last forward pass: each [b, S, features] float32
    stats     how many tokens were edited, if the program was built to count them

    Rows are those of the batch that the model is called with. While `generate` makes several rows of each (beams,
    num_return_sequences), settings are still given for the rows that it was called with.
    """

    def __init__(self, model, program: Program, module, folder: Path):
        from .patches import Steering

        self._model, self._program, self._folder = weakref.ref(model), program, folder
        self.plans, self.knobs, self.records, self.fixed = program.plans, program.knobs, program.records, program.fixed
        self.stats = EditStats(program.manifest)
        self.recorded: dict[str, "torch.Tensor"] = {}
        self._text, self._handles = _Text(), []
        self._length = program.info["max_length"]
        device = _device(model)
        self._steering = Steering.of(module, device)
        if device.type == "cuda":
            from . import triton_steps

            if triton_steps.installed():
                for site in self._steering.sites:
                    triton_steps.replace(site.step)
        self._signature = inspect.signature(model.forward)
        self.set()

    def set(self, *, plan=FIRST_PLAN, knobs: Mapping[str, float] | Sequence | None = None,
            prompt_length: int | Sequence[int] | None = None):
        """What the next forward passes follow; what is not given is what it was when the model was attached without it.

        plan           a plan's name or index, None or "none" for no steering; or a list with one for each row
        knobs          {name: value}, defaults for the rest; or a list with one for each row
        prompt_length  tokens of each row that are prompt: a number or a list. By default what `generate` is given, and
                       outside of it the tokens of the pass that a text begins with.

        Raises WeirError for names and values that the program does not have.
        """
        program = self._program
        plans = [program._plan(each) for each in _listed(plan)]
        columns = [program._knobs(each) for each in _listed(knobs)]
        lengths = None if prompt_length is None else _listed(prompt_length)
        for length in lengths or []:
            if isinstance(length, bool) or not isinstance(length, int) or length < 0:
                raise WeirError(f"prompt_length is {length!r}; it is a number of tokens")
        self._settings = (plans, isinstance(plan, (list, tuple))), (columns, isinstance(knobs, (list, tuple))), \
            (lengths, isinstance(prompt_length, (list, tuple)))

    @contextlib.contextmanager
    def using(self, **settings):
        """`set` for as long as a `with` block lasts."""
        before = self._settings
        self.set(**settings)
        try:
            yield self
        finally:
            self._settings = before

    def _of_rows(self, setting, rows: int, what: str) -> list:
        values, each = setting
        if not each:
            return list(values) * rows
        copies = self._text.generating["copies"] if self._text.generating else 1
        if len(values) * copies != rows:
            raise WeirError(f"{len(values)} {what} for {rows} rows" + (f", {copies} of each" if copies > 1 else ""))
        return [value for value in values for _ in range(copies)]

    def _attach(self):
        model = self._model()
        counted: dict[tuple[str, str], list] = {}
        for index, site in enumerate(self._steering.sites):
            counted.setdefault((site.place.module, site.place.side), []).append(index)
            module = model.get_submodule(site.place.module)
            if site.place.side == "output":
                def after(module, inputs, result, index=index):
                    return self._at_output(index, result)

                self._handles.append(module.register_forward_hook(after))
            else:
                def before(module, args, kwargs, index=index):
                    return self._at_input(index, args, kwargs)

                self._handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
        self._handles.append(model.register_forward_pre_hook(self._before, with_kwargs=True))
        self._handles.append(model.register_forward_hook(self._after, always_call=True))
        if hasattr(model, "generate"):
            model.generate = self._generate(model.generate)
        _attached[model] = self

    def detach(self):
        """Takes the steering off; the model is what it was. Detaching twice does nothing."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        model = self._model()
        if model is not None and _attached.get(model) is self:
            model.__dict__.pop("generate", None)
            del _attached[model]

    @property
    def is_attached(self) -> bool:
        return bool(self._handles)

    def __reduce_ex__(self, _):
        """A copy's hooks would lead to the model that was copied."""
        raise WeirError("a model that is steered cannot be copied or saved as a whole: detach() before")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.detach()

    def __repr__(self):
        sites = sum(site.new is not None for site in self._steering.sites)
        return f"<weir.Attached: {self._folder} on {type(self._model()).__name__}, {sites} values edited, " \
               f"{'attached' if self.is_attached else 'detached'}; plans: {', '.join(self.plans)}>"

    def _generate(self, original):
        """The model's `generate`, which says what is prompt."""
        def generate(inputs=None, generation_config=None, *args, **kwargs):
            if not self.is_attached:
                raise WeirError("the steering was taken off since this generate() was looked up: look it up again")
            given = next((each for each in (inputs, kwargs.get("input_ids"), kwargs.get("inputs_embeds")) if each is not None),
                         None)
            config = generation_config or getattr(self._model(), "generation_config", None)
            copies = max(kwargs.get(name) or getattr(config, name, None) or 1 for name in ("num_beams", "num_return_sequences"))
            before = self._text.generating
            mask, pad = kwargs.get("attention_mask"), kwargs.get("pad_token_id", getattr(config, "pad_token_id", None))
            self._text.generating = {
                "copies": copies, "tokens": 1 if given is None else given.shape[1], "lengths": None,
                "mask": mask if mask is not None and mask.dim() == 2 else None,
                # transformers takes these for padding where no mask is given, as far as it means anything.
                "pads": given is not None and pad is not None and given.dim() == 2 and bool((given == pad).any())}
            try:
                return original(inputs, generation_config, *args, **kwargs)
            finally:
                self._text.generating = before

        return generate

    def _before(self, model, args, kwargs):
        import torch

        if torch.compiler.is_compiling():
            raise WeirError("a model that is steered cannot be compiled: compile the program, or weirc build --engine aot")
        self._text.now = None
        self.recorded = {}
        given = self._signature.bind_partial(*args, **kwargs).arguments
        ids, embedded = given.get("input_ids"), given.get("inputs_embeds")
        first = embedded if ids is None else ids
        if first is None:
            raise WeirError("the model is called without input_ids and without inputs_embeds")
        rows, count = first.shape[:2]
        cache = given.get("past_key_values")
        past = int(cache.get_seq_length()) if cache is not None else 0
        mask = self._mask(given.get("attention_mask"), rows, past + count)
        positions = self._positions(mask, given.get("position_ids"), rows, count, past, first.device)
        plans = self._of_rows(self._settings[0], rows, "plans")
        takes, values = self._steering.inputs, {}
        if "positions" in takes:
            values["positions"] = positions
        if "plan" in takes:
            values["plan"] = torch.tensor(plans, device=first.device)
        if "knobs" in takes:
            values["knobs"] = torch.tensor(self._of_rows(self._settings[1], rows, "sets of knobs"), dtype=torch.float32,
                                           device=first.device)
        if "prompt_length" in takes:
            values["prompt_length"] = torch.tensor(self._lengths(mask, positions, rows, past, cache), device=first.device)
        if "input_ids" in takes:
            if ids is None:
                raise WeirError("the program looks for tokens in the text, and the model is given inputs_embeds: give input_ids")
            values["input_ids"] = ids
        if self._steering.state:
            self._remember(values, positions, rows, past, cache)
        now = _Pass(values, positions, plans)
        self._steering.first(values)
        self._text.now = now

    def _mask(self, mask, rows: int, total: int) -> "torch.Tensor | None":
        """[b, S] of at least `total` tokens: which are no padding; None if all are."""
        import torch

        generating = self._text.generating
        if mask is None or isinstance(mask, torch.Tensor) and mask.dim() == 2 and (
                generating is None or mask.shape[1] >= generating["tokens"]):
            return mask
        # Masks of other forms (of caches with a fixed size) and of a part of the prompt do not say all of it.
        if generating is None:
            raise WeirError("an attention mask that is not [b, S] does not say which tokens are padding: give one that is")
        whole = generating["mask"]
        if whole is None:
            if generating["pads"]:
                raise WeirError("the prompt has padding that only an attention mask tells from text: give one to generate()")
            return None
        if len(whole) != rows:
            whole = whole.repeat_interleave(generating["copies"], 0)
        if len(whole) != rows:
            raise WeirError(f"the attention mask has {len(whole)} rows, and the model is called with {rows}")
        return torch.nn.functional.pad(whole, (0, max(0, total - whole.shape[1])), value=1)

    def _positions(self, mask, position_ids, rows: int, count: int, past: int, device) -> "torch.Tensor":
        """[b, S] int64: where each token stands in its row's text, padding left out; -1 at padding."""
        import torch

        if mask is not None:
            if mask.shape[1] < past + count:
                raise WeirError(f"the attention mask is of {mask.shape[1]} tokens; {past} are in the cache and {count} new")
            seen = mask[:, :past + count].to(torch.int64)
            positions = (seen.cumsum(1) - 1).masked_fill(seen == 0, -1)[:, past:]
        elif position_ids is not None:
            if position_ids.dim() != 2 or position_ids.shape[1] != count:
                raise WeirError(f"position_ids are {list(position_ids.shape)}; they must be [b, S] here")
            positions = position_ids.to(torch.int64)
        else:
            positions = torch.arange(past, past + count, device=device).unsqueeze(0)
        return positions.expand(rows, count).to(device).contiguous()

    def _lengths(self, mask, positions, rows: int, past: int, cache) -> list[int]:
        """For each row the tokens that are prompt."""
        values, each = self._settings[2]
        text, generating = self._text, self._text.generating
        if values is not None:
            return self._of_rows((values, each), rows, "prompt lengths")
        if generating is not None:
            if generating["lengths"] is None:
                tokens = generating["tokens"]
                generating["lengths"] = mask[:, :tokens].sum(1).tolist() if mask is not None and mask.shape[1] >= tokens \
                    else [tokens] * rows
            if len(generating["lengths"]) == rows:
                return generating["lengths"]
        elif past == 0:
            text.lengths = (positions >= 0).sum(1).tolist()
            text.cache = weakref.ref(cache) if cache is not None else None
            return text.lengths
        elif text.lengths is not None and len(text.lengths) == rows and (text.cache is None or text.cache() is cache):
            text.cache = weakref.ref(cache)
            return text.lengths
        raise WeirError("which tokens are prompt is not known of a text that goes on: say it with set(prompt_length=…)")

    def _remember(self, values: dict, positions, rows: int, past: int, cache):
        """What earlier passes left for this one: the tokens of each row so far."""
        text = self._text
        if int(positions.max()) >= self._length:
            raise WeirError(f"the program looks for tokens in texts of up to {self._length}, and a row has {int(positions.max()) + 1}: "
                            "export the model with a greater --max-length")
        # A token twice at one place would be found or not, as it happens.
        ahead = positions[:, 1:] - positions[:, :-1]
        if bool(((positions[:, :-1] >= 0) & (ahead != 1) & (positions[:, 1:] >= 0)).any()):
            raise WeirError("the positions of a row do not go up by one; give an attention mask [b, S] if there is padding")
        if past == 0:
            text.state = {name: first[:1].expand(rows, -1).clone() for name, first in self._steering.state.items()}
        elif any(each.shape[0] != rows for each in text.state.values()) or not text.state:
            raise WeirError("the tokens before these are not known: begin the text while the model is steered")
        values.update(text.state)
        if cache is not None and hasattr(cache, "reorder_cache") and "reorder_cache" not in cache.__dict__:
            original = cache.reorder_cache

            def reorder(rows_before):
                original(rows_before)
                text.state = {name: each[rows_before.to(each.device)] for name, each in text.state.items()}

            cache.reorder_cache = reorder

    def _current(self, index: int) -> _Pass:
        now = self._text.now
        site = self._steering.sites[index]
        if now is None:
            raise WeirError(f"{site.place.module} runs outside of the model's forward pass, where it cannot be steered: call the "
                            "model itself, or detach()")
        if now.done != index:
            expected = self._steering.sites[min(now.done, len(self._steering.sites) - 1)].place
            raise WeirError(f"{site.place} was computed where the program has {expected}: the model does not run its modules once "
                            "each and in order")
        now.done += 1
        return now

    def _check(self, site, x):
        import torch

        wanted = site.example
        if not isinstance(x, torch.Tensor) or x.dim() != wanted.dim() or x.shape[-1] != wanted.shape[-1] or x.dtype != wanted.dtype:
            got = f"{str(x.dtype).removeprefix('torch.')} {list(x.shape)}" if isinstance(x, torch.Tensor) else type(x).__name__
            raise WeirError(f"{site.place} is {got}; the program edits a {str(wanted.dtype).removeprefix('torch.')} of {wanted.dim()} "
                            f"dimensions, the last of {wanted.shape[-1]}")
        if self._steering.kernels and x.requires_grad and torch.is_grad_enabled():
            raise WeirError("kernels have no gradients: run the model under torch.no_grad(), or build with --lower=aten")

    def _run(self, index: int, x, keep: bool):
        """The new value, or None where it is only read. `keep`: x is written over afterwards."""
        now, site = self._current(index), self._steering.sites[index]
        self._check(site, x)
        now.values[site.value] = x.clone() if keep and site.is_kept else x
        site.step(now.values)
        new = now.values.get(site.new)
        # A pass does not hold on to a value of every layer.
        for name, is_kept in ((site.value, site.is_kept), (site.new, site.new_is_kept)):
            if not is_kept:
                now.values.pop(name, None)
        return new

    def _at_output(self, index: int, result):
        import torch

        # Attention and blocks may give their value and further things.
        x = result if isinstance(result, torch.Tensor) else result[0] if isinstance(result, (tuple, list)) and result else result
        new = self._run(index, x, keep=False)
        if new is None:
            return None
        return new if isinstance(result, torch.Tensor) else type(result)((new, *result[1:]))

    def _at_input(self, index: int, args, kwargs):
        import torch

        site = self._steering.sites[index]
        tensors = [(place, each) for place, each in [*enumerate(args), *kwargs.items()] if isinstance(each, torch.Tensor)]
        if len(tensors) != 1:
            raise WeirError(f"{site.place.module} is given {len(tensors)} tensors; the program knows of one")
        (place, x), = tensors
        in_place = site.place.side == "in place"
        new = self._run(index, x, keep=in_place)
        if new is None:
            return None
        if in_place:
            # The residual branch holds the same tensor.
            x.copy_(new)
            return None
        if isinstance(place, int):
            return (*args[:place], new, *args[place + 1:]), kwargs
        return args, {**kwargs, place: new}

    def _after(self, model, args, result):
        now, self._text.now = self._text.now, None
        # After an error there is nothing to look at.
        if now is None or result is None:
            return
        sites = self._steering.sites
        if now.done < len(sites):
            raise WeirError(f"{sites[now.done].place} was not computed, so the model was not steered there")
        outputs = {index: now.values[name] for index, name in self._steering.outputs.items()}
        described = self._program.manifest.get("records", [])
        self.recorded = Records({record["name"]: outputs[record["output"]] for record in described}, self._program.manifest,
                                now.plans)
        self.stats.count(now.positions, now.plans, outputs)


def _listed(value) -> list:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _device(model) -> "torch.device":
    devices = {parameter.device for parameter in model.parameters()}
    if len(devices) != 1:
        raise WeirError(f"the model is on {', '.join(sorted(map(str, devices))) or 'no device'}; it must be on one")
    return devices.pop()


def _same(one: "torch.Tensor", other: "torch.Tensor") -> bool:
    """To the bit."""
    import torch

    whole = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[one.element_size()]
    return torch.equal(one.contiguous().view(whole), other.contiguous().view(whole))


def _check_weights(model, module, name: str):
    """Raises WeirError for the first tensor in which a model and the program's differ."""
    has = dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers(remove_duplicate=False))
    for key, wanted in module.state_dict().items():
        if key not in has:
            raise WeirError(f"the model is not {name}, which the program was built for: it has no {key}")
        got = has[key].detach()
        if got.dtype != wanted.dtype:
            raise WeirError(f"the program was built for {name} in {str(wanted.dtype).removeprefix('torch.')}, and {key} is "
                            f"{str(got.dtype).removeprefix('torch.')}: load the model so, or export it as it is")
        if got.shape != wanted.shape or not _same(got.cpu(), wanted):
            raise WeirError(f"the model is not {name}, which the program was built for: its {key} is another")
    # Rotary frequencies are no weights, and say as much.
    for key, wanted in module.named_buffers():
        if key not in module.state_dict() and key in has and has[key].shape == wanted.shape and not _same(
                has[key].detach().cpu().to(wanted.dtype), wanted):
            raise WeirError(f"the model is not {name}, which the program was built for: its {key} is another")
    for key in dict(model.named_parameters(remove_duplicate=False)).keys() - module.state_dict().keys():
        raise WeirError(f"the model has {key}, which the program's, {name}, has not: take adapters off, or export the model with them")


def _check_numbers(model, module, attached: Attached, program: Program):
    """Runs model and program on a few tokens without a plan: they must give the same at each place."""
    import torch
    from torch import fx

    count = min(8, program.info["max_length"])
    ids = torch.tensor([[(7 * index + 3) % program.info["vocab_size"] for index in range(count)]])
    wanted = {site.value for site in attached._steering.sites}
    theirs, ours = {}, {}

    class Watched(fx.Interpreter):
        def run_node(self, node):
            result = super().run_node(node)
            if node.name in wanted:
                theirs[node.name] = result.clone()
            return result

    inputs = {"input_ids": ids, "positions": torch.arange(count).unsqueeze(0), "prompt_length": torch.tensor([count]),
              "plan": torch.tensor([-1]), "knobs": torch.zeros(1, len(program.knobs))}
    with torch.no_grad():
        results = Watched(module).run(*[inputs[name] for name in program.manifest["inputs"]])
    results = results[0] if isinstance(results, (tuple, list)) else results
    run = attached._run

    def watched(index, x, keep):
        ours[attached._steering.sites[index].value] = x.detach().clone()
        return run(index, x, keep)

    attached._run = watched
    try:
        with torch.no_grad(), attached.using(plan=FIRST_PLAN if program.fixed is not None else None):
            logits = model(input_ids=ids.to(_device(model)), use_cache=False).logits
    finally:
        del attached._run
    close = _CLOSE[next(model.parameters()).element_size()]

    def compare(got, want, what):
        got, want = got.detach().cpu().double(), want.detach().double()
        if got.shape != want.shape or not (got - want).abs().max() <= close * want.abs().max():
            raise WeirError(f"{what} of the model is not what it is in {program.info.get('model', 'the program')}: the weights are the "
                            "same, the configuration or the code is not")

    for site in attached._steering.sites:
        compare(ours[site.value], theirs[site.value], str(site.place))
        if program.fixed is not None and site.new is not None:
            return  # what follows is steered, where a jump may fall on either side
    if program.fixed is None:
        compare(logits, results, "the output")


def attach(model, folder, *, plan=FIRST_PLAN, knobs: Mapping[str, float] | Sequence | None = None,
           prompt_length: int | Sequence[int] | None = None, verify: bool = True) -> Attached:
    """Steers a live Hugging Face model as the program in a folder of `weirc build` is steered: by its kernels if it was
    built with --lower=kernel, and by torch's operators if not.

        with weir.attach(model, "steered", plan=["food", None]) as steering:
            model.generate(**two_prompts)
            steering.set(plan="food", knobs={"faith": 2})
            model.generate(**one_prompt)

    plan, knobs, prompt_length   as in Attached.set
    verify  compare the weights, to the bit, and run model and program on a few tokens

    Raises WeirError if the model is not the one that the program was built for, is in training mode, or is steered
    already; if a value that is edited has no place in its modules; and in each forward pass in which something that the
    program edits is not computed, so that nothing goes unsteered unseen.
    """
    folder = Path(folder)
    if not hasattr(model, "forward") or not hasattr(model, "get_submodule"):
        raise WeirError(f"{type(model).__name__} is no model of PyTorch")
    if model in _attached:
        raise WeirError(f"the model is steered by {_attached[model]._folder}: detach() that first")
    if model.training:
        raise WeirError("the model is in training mode, in which it drops values at random: call model.eval() first")
    if not folder.is_dir():
        raise WeirError(f"{folder} is no folder; give the one that weirc build wrote")
    program = load(folder, verify=verify)
    if not program.plans:
        raise WeirError(f"{folder}: the program is not steered")
    if program.fixed is not None and program.manifest["fixed"].get("weights"):
        raise WeirError(f"{folder}: the plan that was compiled in leaves parts of the model out, which a live one has; build the "
                        "spec without --fixed")
    device = _device(model)
    module = inspect.unwrap(program.module)
    # Without the weights, a second copy of the model's.
    program = Program(None, program.manifest, program.info)
    name = program.info.get("model", "the model")
    if verify:
        _check_weights(model, module, name)
    attached = Attached(model, program, module, folder)
    if attached._steering.kernels and device.type != "cpu":
        raise WeirError(f"kernels run on the processor and the model is on {device}; build with --lower=aten, or move the model")
    missing = [site.place.module for site in attached._steering.sites if not _has(model, site.place.module)]
    if missing:
        raise WeirError(f"the model is not {name}, which the program was built for: it has no module {missing[0]}")
    attached._attach()
    try:
        if verify:
            _check_numbers(model, module, attached, program)
        attached.set(plan=plan, knobs=knobs, prompt_length=prompt_length)
    except BaseException:
        attached.detach()
        raise
    attached.stats.reset()
    return attached


def _has(model, path: str) -> bool:
    try:
        return model.get_submodule(path) is not None
    except AttributeError:
        return False
