"""The HTTP application, assembled: routes, the shape of errors, and the guard before them."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from smallchain import __version__
from smallchain.model.errors import BadInput, SmallchainError, Unknown
from smallchain.protocol import faults
from smallchain.protocol.messages import ErrorAnswer
from smallchaind.api import acts, apply, decisions, describe, events, lists, spend, status
from smallchaind.api.guard import App, Guard
from smallchaind.compose import House

log = logging.getLogger(__name__)

_ERRORS = {code: {"model": ErrorAnswer} for code in (400, 404, 405, 408, 409, 413, 415, 500, 503)}


class _Told(FastAPI):
    """FastAPI, with a document of what is answered: never 422, as a body or a parameter that does not fit is a 400 like any bad input."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        document = super().openapi()
        for operations in document["paths"].values():
            for operation in operations.values():
                operation["responses"].pop("422", None)
        for name in ("HTTPValidationError", "ValidationError"):
            document["components"]["schemas"].pop(name, None)
        return document


def create_app(house: House) -> App:
    """The application of one daemon, with the guard before it."""
    return Guard(routed(house), house)


def routed(house: House) -> FastAPI:
    """All routes, and the shape of their errors."""
    app = _Told(title="Smallchain", version=__version__, docs_url=None, redoc_url=None, responses=_ERRORS)  # type: ignore[arg-type]
    for family in (status, spend, lists, describe, events, apply, acts, decisions):
        app.include_router(family.routes(house))

    @app.exception_handler(SmallchainError)
    async def _told(_: Request, error: SmallchainError) -> JSONResponse:
        return JSONResponse(faults.to_wire(error), status_code=faults.http_status(error))

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        return JSONResponse(faults.to_wire(BadInput(f"{where}: {first['msg']}")), status_code=400)

    @app.exception_handler(HTTPException)
    async def _no_route(request: Request, error: HTTPException) -> JSONResponse:
        told = Unknown(f"there is nothing at {request.method} {request.url.path}", hint="GET /openapi.json lists what there is")
        return JSONResponse(faults.to_wire(told), status_code=error.status_code, headers=error.headers)

    @app.exception_handler(Exception)
    async def _fault(request: Request, error: Exception) -> JSONResponse:
        log.error("a fault in %s %s", request.method, request.url.path, exc_info=error)
        told = SmallchainError("a fault of smallchain", hint="see `smallchain logs`")
        return JSONResponse(faults.to_wire(told), status_code=500)

    return app
