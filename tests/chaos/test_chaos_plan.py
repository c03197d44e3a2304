"""A run of chaos can be repeated, and the guards that it takes away are still where it looks for them."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.chaos.__main__ import main
from tests.chaos.blows import CUTS, DATABASE, STANDSTILLS, SUBMITTER, plan_blows
from tests.chaos.instants import WATCHERS
from tests.chaos.wishes import TAG, make_wishes

import mediagen


def test_wishes_and_blows_are_those_of_the_seed():
    assert make_wishes(1, 50, chains=True) == make_wishes(1, 50, chains=True)
    assert make_wishes(1, 50, chains=True) != make_wishes(2, 50, chains=True)
    assert plan_blows(1, 50, (0, 1)) == plan_blows(1, 50, (0, 1))
    assert plan_blows(1, 50, (0, 1)) != plan_blows(2, 50, (0, 1))


def test_each_wish_is_found_by_its_prompt_alone():
    wishes = make_wishes(1, 200, chains=True)
    assert len({wish.tag for wish in wishes}) == 200
    assert all(TAG.findall(wish.arguments["prompt"]) == [wish.tag] for wish in wishes)
    assert {wish.tool for wish in wishes} == {"generate_image", "generate_video", "extend_video"}


def test_every_instant_has_its_turn_in_a_round():
    number = len(STANDSTILLS) + 2 * len(WATCHERS) + 2 + len(CUTS)
    round_of_all = Counter(blow.instant for blow in plan_blows(1, number, (0, 1)))
    assert set(round_of_all) == {*WATCHERS, SUBMITTER, DATABASE, *CUTS}


def test_guards_that_are_taken_away_are_where_they_were():
    code = (
        "from tests.chaos.launch import MUTATIONS, linger, shorten; shorten(1, 1); linger(0.01); "
        "[take_away() for take_away in MUTATIONS.values()]"
    )
    root = Path(__file__).parents[2]
    paths = os.pathsep.join([str(Path(mediagen.__file__).parents[1]), str(root)])
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_workers_without_postgresql_are_refused_before_anything_starts(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--workers", "1"])
    assert "--engine postgresql" in capsys.readouterr().err
