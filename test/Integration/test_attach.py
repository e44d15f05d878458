# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""weir.attach: a live Hugging Face model that is steered gives what the program and hooks give, and is what it was
afterwards; another model, and whatever would go unsteered, is refused."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path

import families
import hooks
import hypothesis
import numpy
import pytest
import specs
import torch
import weir
from conftest import EFFORT
from engines import Built, call
from models import TOLERANCE, Tally, apart
from test_equivalence_fixed import BATCH, EVERYTHING, ids, written
from test_equivalence_tiny import references, with_knobs_of_row_0

# Each makes code of its own around the sites.
FAMILIES = ["llama", "gemma2", "gpt2", "gpt-neox", "qwen3"]


def padded(rows: list[list[int]], left: bool = False):
    """Rows as transformers takes them: ids and attention mask."""
    longest = max(map(len, rows))
    fill = [[0] * (longest - len(row)) for row in rows]
    ids = [pad + row if left else row + pad for row, pad in zip(rows, fill)]
    mask = [pad + [1] * len(row) if left else [1] * len(row) + pad for row, pad in zip(rows, fill)]
    return dict(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask))


def of(batch: specs.Batch, program) -> dict:
    return dict(plan=list(batch.plans), prompt_length=list(batch.prompt_lengths),
                knobs=[{name: value for name, value in row.items() if name in program.knobs} for row in batch.knobs])


@torch.no_grad()
def run(model, steering, batch, program):
    """Logits [b, S, V] and each row's records by column, as `Built` gives them."""
    steering.set(**of(batch, program))
    logits = model(**padded(batch.ids), use_cache=False).logits
    # Reading one by its name warns where no row records.
    records = [dict.__getitem__(steering.recorded, record["name"]) for record in program.manifest["records"]]
    return logits, [program._by_feature(records, row) for row in range(len(batch.ids))]


@torch.no_grad()
def plain(model, rows):
    return model(**padded(rows), use_cache=False).logits


def test_random_specs(tiny):
    """Against hooks, and against weir-run; by kernels and by torch's operators. A few examples of one family may all be
    near to jumps, so that tokens are counted over all of them."""
    tally = Tally()
    for family in FAMILIES:
        check_random_specs(family, tiny(family), tally)
    tally.assert_enough()


def check_random_specs(family, tiny_model, tally):
    model = tiny_model.model

    @hypothesis.settings(max_examples=2 * EFFORT)
    @hypothesis.given(specs.cases(specs.Shape(family, tuple(tiny_model.kinds))))
    def check(case):
        with tempfile.TemporaryDirectory() as folder:
            path = case.write(Path(folder), tiny_model.sizes)
            spec = hooks.Spec(path, model)
            path.write_text(specs.text({**spec.data, "plans": specs.without_conflicts(spec)}))
            reference = hooks.Reference(path, model)
            program = Built(path, tiny_model.archive, Path(folder) / "program", stats=case.seed % 2 == 0,
                            lower=("aten", "kernel")[case.seed // 2 % 2])
            mixed, same = case.batches[1], with_knobs_of_row_0(case.batches[0])
            before = plain(model, mixed.ids)
            try:
                with weir.attach(model, program.folder) as steering:
                    logits, records = run(model, steering, mixed, program)
                    steering.stats.reset()
                    ours, _ = run(model, steering, same, program)
                theirs, _ = program.run(same)
                for row, want in enumerate(references(reference, mixed)):
                    tally.compare(logits[row], records[row], want)
                wanted = references(reference, same)
                for row, want in enumerate(wanted):
                    assert apart(ours[row, : want.doubtful], theirs[row, : want.doubtful]) <= TOLERANCE
                if program.counts and all(want.doubtful == len(ids) for want, ids in zip(wanted, same.ids)):
                    assert steering.stats.tokens == sum(map(len, same.ids))
                    assert all(steering.stats.edited[entry["policy"]][entry["site"]] == entry["tokens"]
                               for entry in program.stats)
                for row, plan in enumerate(mixed.plans):
                    if plan is None:
                        assert torch.equal(logits[row], before[row])
            except AssertionError as error:
                error.add_note(specs.text(spec.data))
                raise
            assert torch.equal(plain(model, mixed.ids), before)

    check()


@pytest.fixture(scope="module")
def everything(tiny, tmp_path_factory):
    """A model, and every action, scope and kind of condition for it, on kernels."""
    tiny_model = tiny("llama")
    path = written(EVERYTHING, tiny_model, tmp_path_factory.mktemp("attach"))
    return tiny_model.model, Built(path, tiny_model.archive, path.parent / "program", lower="kernel"), \
        hooks.Reference(path, copy.deepcopy(tiny_model.model))


@pytest.fixture(scope="module")
def attached(everything):
    model, program, _ = everything
    model = copy.deepcopy(model)
    with weir.attach(model, program.folder) as steering:
        yield model, steering, program


@pytest.fixture
def steered(attached):
    attached[1].set()
    return attached


@pytest.fixture(scope="module")
def loaded(everything):
    return weir.load(everything[1].folder)


def test_what_is_recorded_and_mixed_plans(everything, steered):
    model, steering, program = steered
    batch, tally = specs.Batch(ids(20, 13, 17), **BATCH), Tally()
    logits, records = run(model, steering, batch, program)
    for row, want in enumerate(references(everything[2], batch)):
        tally.compare(logits[row], records[row], want)
    tally.assert_enough()


def test_a_model_is_what_it_was_after_it(everything):
    model, program, _ = everything
    rows, hooks_before = ids(9, 9), [len(each._forward_hooks) + len(each._forward_pre_hooks) for each in model.modules()]
    before, weights = plain(model, rows), {name: each.clone() for name, each in model.state_dict().items()}
    steering = weir.attach(model, program.folder, plan="first")
    assert steering.is_attached and not torch.equal(plain(model, rows), before)
    steering.detach()
    steering.detach()
    assert not steering.is_attached and torch.equal(plain(model, rows), before)
    assert all(torch.equal(each, weights[name]) for name, each in model.state_dict().items())
    assert hooks_before == [len(each._forward_hooks) + len(each._forward_pre_hooks) for each in model.modules()]
    assert "generate" not in vars(model)
    with pytest.raises(ValueError), weir.attach(model, program.folder):
        raise ValueError
    assert torch.equal(plain(model, rows), before)


GREEDY = dict(do_sample=False, max_new_tokens=7, eos_token_id=None, pad_token_id=0)


def generated(model, rows, **options):
    with torch.no_grad():
        return model.generate(**padded(rows, left=True), **{**GREEDY, **options})


def test_generate_gives_what_the_program_gives(steered, loaded):
    """Prompts of different lengths, padded on the left; plans, scopes and marks of tokens in each row."""
    model, steering, _ = steered
    rows, settings = ids(9, 5, 12), dict(plan=["first", "second", "third"], knobs=BATCH["knobs"])
    steering.set(**settings)
    tokens = generated(model, rows)
    assert tokens[:, 12:].tolist() == [each.tokens for each in loaded.generate(rows, max_new_tokens=7, ignore_eos=True, **settings)]
    # The prompt in pieces, and a cache whose masks are no longer those that were given.
    assert torch.equal(generated(model, rows, prefill_chunk_size=4), tokens)
    assert torch.equal(generated(model, rows, cache_implementation="static"), tokens)
    steering.set(plan=None)
    assert not torch.equal(generated(model, rows), tokens)


def test_padding_that_nothing_tells_of(steered):
    """What a mask would say is not guessed."""
    model, steering, _ = steered
    rows = padded(ids(9, 5, 12), left=True)
    steering.set(plan=["first", "second", "third"], knobs=BATCH["knobs"])
    for options in (dict(prefill_chunk_size=4), dict(cache_implementation="static")):
        with torch.no_grad(), pytest.raises(weir.WeirError, match="give one to generate"):
            model.generate(rows["input_ids"], **{**GREEDY, **options})
    whole = torch.zeros(3, 1, 12, 12)
    with torch.no_grad(), pytest.raises(weir.WeirError, match=r"that is not \[b, S\]"):
        model(rows["input_ids"], attention_mask=whole)


def test_each_token_is_what_it_is_in_one_pass(steered):
    """With a cache, in pieces; the prompt's length is that of the first piece unless it is said."""
    model, steering, _ = steered
    rows = torch.tensor(ids(18, 18, 18))
    for length, said in ((6, None), (2, 9)):
        settings = dict(plan=BATCH["plans"], knobs=BATCH["knobs"])
        with torch.no_grad():
            with steering.using(**settings, prompt_length=said or length):
                whole = model(rows, use_cache=False).logits
            with steering.using(**settings, prompt_length=said):
                cache, pieces = None, []
                for begin, end in ((0, length), (length, length + 1), (length + 1, 15), (15, 18)):
                    result = model(rows[:, begin:end], past_key_values=cache, use_cache=True)
                    cache = result.past_key_values
                    pieces.append(result.logits)
        assert apart(torch.cat(pieces, 1), whole) <= 2e-5


def test_beams_take_their_tokens_along(steered):
    """Beam search makes rows of rows, and changes their order: what it returns has the probability that it says."""
    model, steering, _ = steered
    rows = ids(7, 9)
    for plan in ("first", "second"):
        steering.set(plan=[plan, None], knobs=[{"mood": 3}, {}])
        result = generated(model, rows, num_beams=3, num_return_sequences=2, length_penalty=0.0, output_scores=True,
                           return_dict_in_generate=True)
        for index, sequence in enumerate(result.sequences):
            row, prompt = index // 2, 9
            text = sequence[9 - len(rows[row]):].unsqueeze(0)
            with torch.no_grad(), steering.using(plan=[plan, None][row], knobs=[{"mood": 3}, {}][row],
                                                 prompt_length=len(rows[row])):
                chances = model(text, use_cache=False).logits.log_softmax(-1)
            length = len(rows[row])
            score = chances[0, length - 1:-1].gather(1, text[0, length:].unsqueeze(1)).sum()
            assert abs(score - result.sequences_scores[index]) < 1e-3
    with pytest.raises(weir.WeirError, match="2 plans for 6 rows"):
        model(torch.zeros(6, 3, dtype=torch.long))


def test_a_program_with_one_plan(everything, tmp_path):
    """By torch's operators, through which gradients pass."""
    model, program, _ = everything
    rows = ids(11, 11)
    fixed = Built(program.spec, families.exported("llama"), tmp_path / "fixed", fixed="second", lower="aten")
    with weir.attach(model, program.folder, plan="second", prompt_length=4), torch.no_grad():
        want = model(**padded(rows), use_cache=False).logits
    with weir.attach(model, fixed.folder, prompt_length=4) as steering:
        logits = model(**padded(rows), use_cache=False).logits
        assert apart(logits.detach(), want) <= TOLERANCE
        gradient, = torch.autograd.grad(logits.square().mean(), model.model.embed_tokens.weight)
        assert gradient.abs().sum() > 0
        with pytest.raises(weir.WeirError, match="compiled in"):
            steering.set(plan="first")


def other(model, change):
    changed = copy.deepcopy(model)
    with torch.no_grad():
        change(changed)
    return changed


def renamed(model):
    model.model.layers[1].self_attn.projection = model.model.layers[1].self_attn.o_proj
    del model.model.layers[1].self_attn.o_proj


@pytest.mark.parametrize(("change", "said"), [
    (lambda model: model.model.layers[2].mlp.up_proj.weight[3, 5].add_(1e-6), "model.layers.2.mlp.up_proj.weight is another"),
    (lambda model: model.bfloat16(), "in float32, and model.embed_tokens.weight is bfloat16"),
    (lambda model: model.train(), "training mode"),
    (lambda model: model.model.rotary_emb.inv_freq.mul_(2), "inv_freq is another"),
    (lambda model: setattr(model.model.layers[0].post_attention_layernorm, "variance_epsilon", 0.5), "configuration or the code"),
    (lambda model: model.model.layers[0].mlp.register_parameter("lora", torch.nn.Parameter(torch.ones(1))), "mlp.lora"),
    (renamed, "has no model.layers.1.self_attn.o_proj"),
], ids=["weight", "dtype", "training", "frequencies", "epsilon", "adapter", "module"])
def test_another_model_is_refused(everything, change, said):
    model, program, _ = everything
    changed = other(model, change)
    with pytest.raises(weir.WeirError, match=said):
        weir.attach(changed, program.folder)
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in changed.modules())


def test_other_folders_are_refused(everything, tmp_path):
    model, program, _ = everything
    with pytest.raises(weir.WeirError, match="no folder"):
        weir.attach(model, tmp_path / "none")
    with pytest.raises(weir.WeirError, match="not the output of weirc build"):
        weir.attach(model, tmp_path)
    with weir.attach(model, program.folder), pytest.raises(weir.WeirError, match="detach"):
        weir.attach(model, program.folder)


def test_a_layer_that_a_plan_leaves_out_is_there_in_a_live_model(everything, tmp_path):
    """What a program with one plan drops cannot be dropped here."""
    model, _, _ = everything
    (tmp_path / "spec.yaml").write_text("""
weir: 1
model: {program: tiny.pt2}
policies:
  skip: {do: substitute, layers: 1, form: drop}
plans: {one: [skip]}
""")
    call("weirc", "build", tmp_path / "spec.yaml", "--model", families.exported("llama"), "-o", tmp_path / "fixed", "--fixed", "one")
    with pytest.raises(weir.WeirError, match="leaves parts of the model out"):
        weir.attach(model, tmp_path / "fixed")


def test_nothing_goes_unsteered_unseen(steered):
    model, steering, _ = steered
    ids_ = torch.tensor([[5, 9, 2, 7]])
    with torch.no_grad():
        with pytest.raises(weir.WeirError, match="outside of the model's forward pass"):
            model.model(ids_)
        mlp = model.model.layers[1].mlp
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(mlp, "forward", lambda x: x)
            with pytest.raises(weir.WeirError, match="in order"):
                model(ids_)
        last = model.model.layers[2]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(model.config, "num_hidden_layers", 2)
            with pytest.raises(weir.WeirError, match="model.layers.2.* was not computed"):
                model(ids_)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(last.mlp.down_proj, "forward", lambda x: x[..., :7])
            with pytest.raises(weir.WeirError, match="the last of 32"):
                model(ids_)
        assert model(ids_).logits.isfinite().all()
    with pytest.raises(weir.WeirError, match="no gradients"):
        model(ids_)
    with torch.no_grad(), pytest.raises(weir.WeirError, match="input_ids"):
        model(inputs_embeds=torch.zeros(1, 3, 32))
    with pytest.raises(weir.WeirError, match="detach\\(\\) before"):
        copy.deepcopy(model)


def test_settings_that_the_program_does_not_have(steered):
    model, steering, _ = steered
    for settings, said in ((dict(plan="fourth"), "no plan 'fourth'"), (dict(plan=["first", "fourth"]), "no plan"),
                           (dict(knobs={"mood": 9}), "outside"), (dict(knobs={"moods": 1}), "no knob"),
                           (dict(prompt_length=-1), "prompt_length")):
        with pytest.raises(weir.WeirError, match=said):
            steering.set(**settings)
    with torch.no_grad():
        for settings in (dict(plan=["first"]), dict(knobs=[{}, {}, {}]), dict(prompt_length=[1, 2, 3])):
            with steering.using(**settings), pytest.raises(weir.WeirError, match="for 2 rows"):
                model(torch.zeros(2, 4, dtype=torch.long))
        cache = model(torch.zeros(2, 4, dtype=torch.long), use_cache=True).past_key_values
        model(torch.zeros(1, 4, dtype=torch.long))
        with pytest.raises(weir.WeirError, match="set\\(prompt_length"):
            model(torch.zeros(2, 1, dtype=torch.long), past_key_values=cache)
        with steering.using(prompt_length=2), pytest.raises(weir.WeirError, match="texts of up to 24"):
            model(torch.zeros(1, 25, dtype=torch.long))


def test_families_that_nobody_names(tiny, tmp_path):
    """Sites that are no module's own result, such as Granite's scaled ones, are refused by name."""
    model = families.model("granite")
    numpy.save(tmp_path / "rows.1.npy", numpy.random.default_rng(1).standard_normal((3, 32)).astype(numpy.float32))
    for site, is_there in (("res", True), ("att", False)):
        path = tmp_path / f"{site}.yaml"
        path.write_text(f"""
weir: 1
model: {{program: tiny.pt2}}
dictionaries:
  rows: {{format: directions, path: "rows.{{layer}}.npy", sites: [{site}], layers: 1..1}}
policies:
  more: {{on: 1/{site}/2, do: scale, factor: 3}}
plans: {{one: [more]}}
""")
        built = Built(path, families.exported("granite"), tmp_path / site)
        if not is_there:
            with pytest.raises(weir.WeirError, match="cannot be found in a live model"):
                weir.attach(model, built.folder)
            continue
        rows = torch.tensor(ids(9, 9))
        with weir.attach(model, built.folder, plan=["one", None]), torch.no_grad():
            ours = model(rows, use_cache=False).logits
        assert apart(ours, weir.load(built.folder)(rows, plan=["one", None]).logits) <= TOLERANCE
