"""Every address of the pages, in one place."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from zerostart.server.web.assets import Assets


class Links:
    """Where things are. Templates write no address themselves."""

    home = "/"
    running = "/running"
    hub = "/hub"
    endpoints = "/endpoints"
    batch = "/batch"
    new_batch = "/batch/new"
    set_up_batch = "/batch/new/columns"
    try_batch = "/batch/new/try"
    start_batch = "/batch/new/start"
    evaluate = "/evaluate"
    new_evaluation = "/evaluate/new"
    evaluation_example = "/evaluate/new/example"
    buckets = "/buckets"
    solutions = "/solutions"
    settings = "/settings"
    keys = "/settings/keys"
    places = "/settings/places"
    clean_up = "/settings/clean-up"
    clean_up_confirm = f"{clean_up}/confirm"
    down = f"{clean_up}/down"
    sign_in = "/sign-in"
    sign_out = "/sign-out"

    def __init__(self, assets: Assets) -> None:
        self._assets = assets

    def static(self, name: str) -> str:
        """A static file."""
        return self._assets.url(name)

    def sign_in_and_return(self, path: str) -> str:
        """The sign-in page that leads back to a page."""
        return self.sign_in if path == self.home else f"{self.sign_in}?{urlencode({'next': path})}"

    def hub_search(self, **parameters: str) -> str:
        """The hub with a search done."""
        return f"{self.hub}?{urlencode(parameters)}" if parameters else self.hub

    def model(self, model_id: str) -> str:
        """A model's page."""
        return f"{self.hub}/models/{quote(model_id)}"

    def fetch(self, model_id: str) -> str:
        """How far the fetch of a model is, and where it is begun and ended."""
        return f"{self.hub}/fetches/{quote(model_id)}"

    def try_example(self, model_id: str, number: int) -> str:
        """A model's page with an example's scores."""
        return f"{self.model(model_id)}?{urlencode({'example': number})}#try"

    def endpoint(self, name: str) -> str:
        """An endpoint's page, with its playground."""
        return f"{self.endpoints}/{quote(name, safe='')}"

    def endpoint_status(self, name: str) -> str:
        """What changes on an endpoint's page by itself."""
        return f"{self.endpoint(name)}/status"

    def playground(self, name: str) -> str:
        """Where the playground's form is sent to."""
        return f"{self.endpoint(name)}/playground"

    def endpoint_charts(self, name: str) -> str:
        """The charts of an endpoint."""
        return f"{self.endpoint(name)}/charts"

    def update_endpoint(self, name: str) -> str:
        """The form that changes what an endpoint serves."""
        return f"{self.endpoint(name)}/update"

    def played(self, name: str, query: Mapping[str, str]) -> str:
        """An endpoint's page with its playground filled in."""
        return f"{self.endpoint(name)}?{urlencode(query)}"

    def texts(self, name: str) -> str:
        """The playground for many texts."""
        return f"{self.endpoint(name)}/texts"

    def decide(self, name: str) -> str:
        """The playground for questions."""
        return f"{self.endpoint(name)}/decide"

    def decide_with(self, name: str, fields: Mapping[str, str]) -> str:
        """The same with its form filled in."""
        return f"{self.decide(name)}?{urlencode(fields)}"

    def delete_endpoint(self, name: str) -> str:
        """The page that asks before it deletes."""
        return f"{self.endpoint(name)}/delete"

    def revoke_key(self, access_key_id: str) -> str:
        """The page that asks before it revokes."""
        return f"{self.keys}/{quote(access_key_id, safe='')}/revoke"

    def sleep_endpoint(self, name: str) -> str:
        """Where the button is sent to that stops an endpoint's instances until the next call."""
        return f"{self.endpoint(name)}/sleep"

    def clean_up_result(self, clean_up_id: str) -> str:
        """How far a clean-up is, and what came of it."""
        return f"{self.clean_up}/{quote(clean_up_id, safe='')}"

    def endpoints_from(self, token: str) -> str:
        """A further page of the list of endpoints."""
        return f"{self.endpoints}?{urlencode({'from': token})}"

    def batch_from(self, token: str) -> str:
        """A further page of the list of batch jobs."""
        return f"{self.batch}?{urlencode({'from': token})}"

    def new_batch_of(self, **chosen: str) -> str:
        """The form of a new batch job with something chosen: `model`, `input`."""
        return f"{self.new_batch}?{urlencode(chosen)}"

    def set_up_batch_of(self, model_id: str, uri: str) -> str:
        """The second step of a new batch job."""
        return f"{self.set_up_batch}?{urlencode({'model': model_id, 'input': uri})}"

    def job(self, name: str) -> str:
        """A batch job's page."""
        return f"{self.batch}/jobs/{quote(name, safe='')}"

    def stop_job(self, name: str) -> str:
        """The page that asks before it stops a job."""
        return f"{self.job(name)}/stop"

    def job_results(self, name: str, form: str) -> str:
        """All results of a job, as `csv` or `jsonl`."""
        return f"{self.job(name)}/results.{form}"

    def new_evaluation_of(self, who: str) -> str:
        """The form of a new evaluation with an answerer chosen: `endpoint/NAME` or `model/ID`."""
        return f"{self.new_evaluation}?{urlencode({'who': who})}"

    def evaluation(self, evaluation_id: str) -> str:
        """How far an evaluation is, and its report."""
        return f"{self.evaluate}/of/{quote(evaluation_id, safe='')}"

    def set_up_evaluation(self, evaluation_id: str, who: str = "") -> str:
        """What its file holds, and what is asked of it."""
        return f"{self.evaluation(evaluation_id)}/columns" + (f"?{urlencode({'who': who})}" if who else "")

    def evaluation_step(self, evaluation_id: str, step: str) -> str:
        """What its forms are sent to: `try`, `start`, `stop`, `retry`, `delete`; and its files."""
        return f"{self.evaluation(evaluation_id)}/{step}"

    def model_with_profile(self, model_id: str, profile_uri: str) -> str:
        """A model's page with its deploy form filled in with a profile."""
        return f"{self.model(model_id)}?{urlencode({'profile': profile_uri})}#deploy"

    def bucket(self, name: str, prefix: str = "", start: str = "") -> str:
        """What is in a bucket under a prefix; `start` is where a further page of it begins."""
        query = {key: value for key, value in (("prefix", prefix), ("from", start)) if value}
        return f"{self.buckets}/{quote(name, safe='')}" + (f"?{urlencode(query)}" if query else "")

    def solution(self, name: str, launch: str = "", *, already: bool = False) -> str:
        """A solution's page; `launch` is that of several that is shown, which was there `already` when it was asked."""
        return f"{self.solutions}/{quote(name, safe='')}{_of_launch(launch)}{'&already=1' if already else ''}"

    def solution_report(self, name: str, launch: str) -> str:
        """The report of a launch."""
        return f"{self.solution(name)}/report{_of_launch(launch)}"

    def delete_solution(self, name: str, launch: str) -> str:
        """The page that asks before it deletes what a launch made."""
        return f"{self.solution(name)}/delete{_of_launch(launch)}"

    def upload(self, bucket: str) -> str:
        """Where files are sent to."""
        return f"{self.bucket(bucket)}/upload"

    def delete_bucket(self, name: str) -> str:
        """The page that asks before it deletes a bucket."""
        return f"{self.bucket(name)}/delete"

    def object(self, bucket: str, key: str) -> str:
        """An object's page. The key is in the query: browsers take `..` and `//` of a path away."""
        return f"{self.bucket(bucket)}/object?{urlencode({'key': key})}"

    def download(self, bucket: str, key: str) -> str:
        """An object as a file."""
        return f"{self.bucket(bucket)}/download?{urlencode({'key': key})}"

    def delete_object(self, bucket: str, key: str) -> str:
        """The page that asks before it deletes an object."""
        return f"{self.bucket(bucket)}/delete-object?{urlencode({'key': key})}"


def _of_launch(name: str) -> str:
    return f"?{urlencode({'launch': name})}" if name else ""


def local_path(path: str) -> str:
    """`path` if it leads to a page of this server, else the landing page."""
    good = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and "\\" not in path
    return path if good else "/"
