"""Routes of calibrations: what is answered, what is refused, what a view token may do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.service.live import Live, bearer, live

SHORT = {"person": "P01", "contrast": "calm-strained", "pairs": 4, "seconds": 6, "rest": 600}
PATH = "/v1/sessions/simulate-1/calibration"


def refusal(service: Live, **body: Any) -> tuple[int, str]:
    answer = service.http.post(PATH, json={**SHORT, **body})
    return answer.status_code, answer.json()["detail"]


def test_begin_stop_and_resume(tmp_path: Path) -> None:
    with live("simulate://", data_dir=tmp_path) as service:
        service.opened("simulate-1")
        assert service.http.get(PATH).status_code == 404
        begun = service.http.post(PATH, json=SHORT)
        assert begun.status_code == 201
        first = begun.json()
        assert (first["kinds"], first["dimension"]) == (["calm", "strained"], "arousal")
        assert first["progress"]["phase"] == "rest"
        assert first["plan"] is None
        assert len(first["plan_hash"]) == 64
        assert service.sessions()["simulate-1"]["person"] == "P01"
        assert refusal(service)[0] == 409
        rating = service.http.post(f"{PATH}/ratings", json={"valence": 1, "arousal": 2})
        assert rating.status_code == 409
        assert "'rest'" in rating.json()["detail"]
        assert service.http.post(f"{PATH}/finish").status_code == 409
        assert service.http.delete(PATH).json()["progress"]["phase"] == "stopped"
        [note] = service.http.get("/v1/people/P01/calibrations").json()
        assert (note["id"], note["resumable"]) == (first["id"], True)
        again = service.http.post(PATH, json=SHORT).json()
        assert (again["id"], again["resumed"]) == (first["id"], 1)
        service.http.delete(PATH)
        new = service.http.post(PATH, json={**SHORT, "resume": False}).json()
        assert new["id"] != first["id"]
        # A deleted person leaves nothing, though the calibration is going on.
        assert service.http.delete("/v1/people/P01?confirm=P01").status_code == 200
        assert not list(tmp_path.rglob("*.samples"))
        assert service.http.get("/v1/people/P01/calibrations").status_code == 404


REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"contrast": None}, "a contrast"),
    ({"contrast": "own"}, "two different names"),
    ({"contrast": "own", "kinds": ["a", "a"]}, "two different names"),
    ({"kinds": ["a", "b"]}, "contrast own"),
    ({"pairs": 3}, "greater than or equal to 4"),
    ({"person": "../x"}, "match pattern"),
    ({"seconds": "NaN"}, "seconds"),
    ({"colour": 1}, "colour"),
)


def test_what_is_refused(tmp_path: Path) -> None:
    with live("simulate://", data_dir=tmp_path) as service:
        service.opened("simulate-1")
        for body, text in REFUSED:
            status, detail = refusal(service, **body)
            assert (status, bool(re.search(text, detail))) == (422, True), (body, detail)


def test_who_may_only_view(tmp_path: Path) -> None:
    with live("simulate://", data_dir=tmp_path, token="c" * 32, view_token="v" * 32) as service:
        service.opened("simulate-1")
        assert service.http.post(PATH, json=SHORT).status_code == 201
        view = bearer("v" * 32)
        assert service.http.get(PATH, headers=view).status_code == 200
        for method, path in (("POST", PATH), ("DELETE", PATH), ("POST", f"{PATH}/ratings")):
            answer = service.http.request(method, path, json=SHORT, headers=view)
            assert answer.status_code == 403
