"""Where a controller becomes a bank. It has no token yet: the one-time code is the secret."""

from litestar import post
from litestar.params import JSONBody

from latchwork.server.actions import enrolment
from latchwork.server.api.bodies import Enrolment
from latchwork.server.api.guard import TheOffice
from latchwork.server.api.problems import AnyRequest


@post("/enrolments", tags=["Enrolment"], status_code=200, summary="Trade a one-time code for an identity")
async def enrol(request: AnyRequest, office: TheOffice, data: JSONBody[Enrolment]) -> enrolment.Enrolled:
    caller = request.client.host if request.client else ""
    throttle: enrolment.Throttle = request.app.state.throttle
    public_key, signature = bytes.fromhex(data.public_key), bytes.fromhex(data.signature)
    return await enrolment.enrol(office, throttle, caller, data.code, public_key, signature)


HANDLERS = [enrol]
