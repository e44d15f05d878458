# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The plugin's own routes: what there is, a folder that was built anew, and what was edited."""

from __future__ import annotations

import asyncio

from fastapi import Request
from fastapi.responses import JSONResponse

from .settings import Registry

INTERVAL = 5.0  # seconds between two looks at the workers' counts


class WeirRoutes:
    """An endpoint plugin of vLLM."""

    name, required_tasks = "weir", ("generate",)

    def attach_router(self, app):
        def refuse(status: int, message: str):
            return JSONResponse({"error": {"message": message, "type": "weir", "code": status}}, status)

        @app.get("/v1/weir/plans")
        async def plans(request: Request):
            state = request.app.state
            if state.weir_processor is None or state.weir_processor.weir is None:
                return refuse(404, "this server was started without a folder of plans")
            return state.weir_processor.weir.describe() | {"edited_tokens": await state.weir_counts()}

        @app.post("/v1/weir/reload")
        async def reload(request: Request):
            state = request.app.state
            if state.weir_processor is None or state.weir_processor.weir is None:
                return refuse(404, "this server was started without a folder of plans")
            async with state.weir_lock:
                error = await state.weir_reload()
            if error:
                return refuse(409, error)
            return state.weir_processor.weir.describe()

    async def init_state(self, engine_client, state, args):
        state.weir_processor = getattr(engine_client, "input_processor", None)
        if state.weir_processor is None or state.weir_processor.weir is None:
            return
        state.weir_lock = asyncio.Lock()
        servers = getattr(args, "api_server_count", None) or 1

        async def counts() -> dict[str, int]:
            answers = await engine_client.collective_rpc("weir_counts")
            return answers[0]  # every rank has edited the same tokens

        async def reload() -> str:
            if servers > 1:
                return "several API servers share the engine, and the others would not know: start the server again"
            old = state.weir_processor.weir
            try:
                new = Registry.open(old.settings)
                if {folder.table.model.get("weights") for folder in new.folders} != {
                        folder.table.model.get("weights") for folder in old.folders}:
                    return "weir: the folder was built for another model"
                if engine_client.vllm_config.scheduler_config.async_scheduling:
                    from .check import check_markers

                    check_markers(new)
            except (ValueError, OSError) as error:
                return str(error)
            folders = [[folder.name, folder.path] for folder in new.folders]
            for error in await engine_client.collective_rpc("weir_reload", args=(folders,)):
                if error:
                    return error
            state.weir_processor.weir = new
            return ""

        state.weir_counts, state.weir_reload = counts, reload
        state.weir_metrics = asyncio.get_running_loop().create_task(publish(counts))


async def publish(counts):
    """Keeps a counter of vLLM's Prometheus endpoint at what the workers counted."""
    from prometheus_client import Counter

    edited = Counter("weir_edited_tokens", "Tokens that plans edited, by site", ["site"])
    known: dict[str, int] = {}
    while True:
        for site, count in (await counts()).items():
            edited.labels(site).inc(max(0, count - known.get(site, 0)))
            known[site] = count
        await asyncio.sleep(INTERVAL)
