"""What changed when students were tuned is told truly at each moment of running them again."""

import json
import re
import shutil
from types import SimpleNamespace

import pytest

import before_after
import outcomes
import practice_page
import sentences
from assemble import RESULTS, assemble, struck
from claims import MARGIN, answers
from left_of_lead import LeftOfLead, PairLeft, left_of_lead
from outcomes import LEADS, Before, Lead, Outcome, before, lead_of, lead_text, outcome_of, updated
from pairs import all_pairs
from study_page import TABLES
from summaries import json_text
from tests.experiments.planted import Planted, write

NAME = "made/large--narrow--tenth"
DATA = ("made", "other")
ROLES = [("large", "narrow"), ("large", "wide")]


def keep(results):
    """Write the file as its command does."""
    found = updated(before(results), all_pairs(results))
    (results / outcomes.FILE).write_text(json_text(json.loads(found.model_dump_json())))
    return before(results)


SMALL = {"sizes": (32, 128), "epochs": (1, 4, 32)}


def run_both_ways(results, old=(0.02, 0.001), new=(0.02, 0.001), count=4):
    """So many pairs of two data sets with untuned students, and then again with tuned ones."""
    plans = [
        {"data": data, "teacher_role": teacher, "student_role": student, **SMALL}
        for teacher, student in ROLES
        for data in DATA
    ][:count]
    for number, plan in enumerate(plans):
        lead = (old[0] * (1 + number / 20), old[1])
        write(results, Planted(**plan, over_converged=lead, tuned=False))
    keep(results)
    for number, plan in enumerate(plans):
        lead = (new[0] * (1 + number / 20), new[1])
        write(results, Planted(**plan, over_converged=lead))
    return assemble(results)


# --- the file of what was published before ---------------------------------------------------


def test_committed_file_is_that_of_twenty_pairs_none_of_them_tuned():
    found = before()
    assert len(found.pairs) == 20
    assert set(found.claims) == {"C1", "C2", "C3", "C4", "C5"}
    untuned = [pair for pair in all_pairs() if not pair.tuned]
    for pair in untuned:
        assert found.pairs[pair.name].leads.keys() == LEADS.keys()
        assert_same(found.pairs[pair.name], outcome_of(pair))
    assert (RESULTS / outcomes.FILE).stat().st_size < 40_000


def assert_same(kept, made):
    for name, lead in made.leads.items():
        assert kept.leads[name].mean == pytest.approx(lead.mean, abs=1e-9)
    words = ("sweet_spot", "training", "verdict", "taught", "seeds")
    assert [getattr(kept, word) for word in words] == [getattr(made, word) for word in words]


def test_outcome_is_what_the_search_found_and_the_verdict(tmp_path):
    found = outcome_of(write(tmp_path, Planted(spot=(128, 4), over_converged=(0.01, 0.001))))
    assert found.sweet_spot == "batch 128 epoch 4, T = 1, alpha = 1"
    assert found.verdict == "knowledge"
    lead = found.leads["converged_teacher"]
    assert lead.mean == pytest.approx(0.01)
    assert lead.low < 0.01 < lead.high
    assert lead.above_zero


def test_pair_without_an_exhaustive_search_has_no_outcome(tmp_path):
    pair = write(tmp_path, Planted())
    (pair.folder / "exhaustive.json").unlink()
    assert outcome_of(pair) is None


def test_what_was_published_stays_when_the_pair_is_replaced(tmp_path):
    write(tmp_path, Planted(over_converged=(0.02, 0.001), tuned=False))
    write(tmp_path, Planted(data="other", tuned=False))
    first = keep(tmp_path)
    write(tmp_path, Planted(over_converged=(0.001, 0.001)))
    shutil.rmtree(tmp_path / "other")
    again = keep(tmp_path)
    assert again == first
    assert again.pairs[NAME].leads["converged_teacher"].mean == pytest.approx(0.02)


def test_answers_of_before_are_those_of_all_untuned_pairs(tmp_path):
    for data in DATA:
        for teacher, student in ROLES:
            roles = {"teacher_role": teacher, "student_role": student}
            write(tmp_path, Planted(data=data, **roles, **SMALL, tuned=False))
    found = keep(tmp_path)
    assert {name: each.answer for name, each in found.claims.items()} == {
        answer.claim.name: answer.status for answer in answers(all_pairs(tmp_path))
    }


# --- the table of before and after -----------------------------------------------------------


def test_table_has_a_line_before_and_a_line_after_for_each_pair_run_again(tmp_path):
    write(tmp_path, Planted(over_converged=(0.02, 0.001), verdict="knowledge", tuned=False))
    write(tmp_path, Planted(data="other", tuned=False))
    keep(tmp_path)
    write(tmp_path, Planted(over_converged=(0.0, 0.001), spot=(512, 32), verdict="no_gain"))
    text = before_after.before_and_after(assemble(tmp_path))
    _, _, old, new = text.splitlines()
    assert old.startswith(f"| `{NAME}` | untuned | batch 128 epoch 4, T = 1, alpha = 1 |")
    assert "| +2.00 [" in old
    assert "| knowledge |" in old
    assert new.startswith("|  | tuned | batch 512 epoch 32, T = 1, alpha = 1 |")
    assert new.endswith("| no gain | not above 0 any more |")
    assert "other" not in text, "it has not been run again"


def test_table_shows_each_seed_of_the_teachers(tmp_path):
    write(tmp_path, Planted(tuned=False))
    keep(tmp_path)
    for seed, mean in enumerate((0.01, 0.012, 0.0)):
        write(tmp_path, Planted(teacher_seed=seed, over_converged=(mean, 0.001)))
    new = before_after.before_and_after(assemble(tmp_path)).splitlines()[-1]
    assert "| tuned, 3 teacher seeds |" in new
    assert re.search(r"\+1\.00 \[[^|]*; \+1\.20 \[[^|]*; 0\.00 \[", new)
    assert new.endswith("| above 0 with 2 of 3 teacher seeds |")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (0.01, 0.01, "still above 0"),
        (0.01, -0.01, "not above 0 any more"),
        (-0.01, 0.01, "above 0 now"),
        (-0.01, -0.01, "not above 0 either time"),
    ],
)
def test_change_is_said_by_where_the_intervals_lie(old, new, words):
    def outcome(mean):
        lead = Lead(mean=mean, low=mean - 0.002, high=mean + 0.002)
        leads = dict.fromkeys(LEADS, lead)
        return Outcome(sweet_spot="", training="", test_accuracy=0.9, leads=leads, seeds=5)

    assert before_after.change_of(outcome(old), [outcome(new)]) == words


def test_same_students_are_no_lead(tmp_path):
    pair = write(tmp_path, Planted(same_as_converged=True))
    lead = lead_of(pair.exhaustive.references.converged_teacher)
    assert not lead.above_zero
    assert lead_text(lead) == "0, the same students"


# --- the first sentence ------------------------------------------------------------------------


def leads(pairs):
    """Pairs of two data sets with a lead before, and leads of teacher seeds after, in points."""

    def lead(mean):
        return Lead(mean=mean / 100, low=(mean - 0.1) / 100, high=(mean + 0.1) / 100)

    return LeftOfLead(
        [
            PairLeft(
                f"{DATA[number % 2]}/{number}",
                None if old is None else lead(old),
                {seed: lead(mean) for seed, mean in enumerate(new)},
            )
            for number, (old, new) in enumerate(pairs)
        ]
    )


@pytest.mark.parametrize(
    ("pairs", "answer"),
    [
        ([(1.0, [0.1]), (2.0, [0.2]), (1.5, [0.0]), (1.2, [0.1])], "scale and patience"),
        ([(1.0, [0.9]), (2.0, [2.1]), (1.5, [1.4]), (1.2, [1.0])], "sweet spot"),
        ([(1.0, [0.0]), (2.0, [2.1]), (1.5, [0.1]), (1.2, [1.4])], "undecided"),
        ([(0.1, [0.1]), (0.1, [0.1]), (0.1, [0.09]), (0.1, [0.11])], "undecided"),
        ([(1.0, [0.1]), (2.0, [0.2]), (1.5, [0.0]), (1.2, [])], "not known yet"),
        ([(1.0, [0.1]), (2.0, [0.2]), (1.5, [0.0]), (None, [0.1])], "not known yet"),
        ([], "not known yet"),
    ],
)
def test_rule_of_what_is_left_of_the_lead(pairs, answer):
    assert leads(pairs).answer == answer


def test_a_single_data_set_leaves_it_open():
    pairs = leads([(1.0, [0.1]), (2.0, [0.2]), (1.5, [0.0]), (1.2, [0.1])]).pairs
    alone = [PairLeft(f"made/{p.name}", p.before, p.left) for p in pairs]
    assert LeftOfLead(alone).answer == "not known yet"


def test_a_pair_counts_once_with_the_mean_of_its_teacher_seeds():
    found = leads([(1.0, [0.2, 0.4]), (1.0, [0.5]), (1.0, [0.1]), (1.0, [0.2])])
    assert found.left.mean == pytest.approx((0.3 + 0.5 + 0.1 + 0.2) / 400)
    assert found.left.n_seeds == 4


def test_leads_are_read_from_the_file_and_the_tuned_pairs(tmp_path):
    write(tmp_path, Planted(over_converged=(0.02, 0.001), tuned=False))
    write(tmp_path, Planted(data="other", over_converged=(0.03, 0.001), tuned=False))
    known = keep(tmp_path)
    pair = write(tmp_path, Planted(over_converged=(0.005, 0.001)))
    again = write(tmp_path, Planted(teacher_seed=1, over_converged=(0.007, 0.001)))
    found = left_of_lead(known, [pair, *all_pairs(tmp_path)[1:]], [again])
    assert [each.name for each in found.pairs] == [NAME, "other/large--narrow--tenth"]
    assert found.pairs[0].before.mean == pytest.approx(0.02)
    assert [lead.mean for lead in found.pairs[0].left.values()] == pytest.approx([0.005, 0.007])
    assert found.pairs[1].left == {}, "its students were not tuned"
    assert found.both == [found.pairs[0]]


def first_of(lead, known=None, tuned=4):
    """The first sentence where so many of four pairs have tuned students."""
    found = {
        "lead": lead,
        "before": known or Before(),
        "study": [None] * 4,
        "tuned": [None] * tuned,
    }
    return sentences.first(SimpleNamespace(**found))


def test_first_sentence_says_what_the_rule_says_with_the_intervals():
    text = first_of(leads([(1.0, [0.1]), (2.0, [0.2]), (1.5, [0.0]), (1.2, [0.1])]))
    assert text.startswith("**Most of the sweet spot's lead is gone once temperatures")
    assert re.search(r"from \+1\.4\d \[[^]]+\] to \+0\.10 \[[^]]+\], 7 % of it", text)
    assert "mean over 4 pairs, 95 % intervals" in text
    text = first_of(leads([(1.0, [0.9]), (2.0, [2.1]), (1.5, [1.4]), (1.2, [1.0])]))
    assert text.startswith("**At least half of the sweet spot's lead is left")
    text = first_of(leads([(1.0, [0.0]), (2.0, [2.1]), (1.5, [0.1]), (1.2, [1.4])]))
    assert text.startswith("**Whether half of the sweet spot's lead is left")


def test_first_sentence_says_no_share_where_there_was_no_lead():
    lead = leads([(-1.0, [0.9]), (-2.0, [1.1]), (-1.5, [1.0]), (-1.2, [1.0])])
    assert lead.answer == "sweet spot"
    assert "%" not in first_of(lead).replace("95 %", "")


@pytest.mark.parametrize(
    ("tuned", "words"),
    [
        (
            0,
            "**These are results of students that nobody had tuned.** The study is being run again",
        ),
        (1, "1 of its 4 pairs is done, and the answers are about this one alone.**"),
        (3, "3 of its 4 pairs are done, and the answers are about these alone.**"),
    ],
)
def test_first_sentence_says_whose_students_were_tuned(tuned, words):
    lead = leads([(1.0, [0.1] * (number < tuned)) for number in range(4)])
    assert words in first_of(lead, tuned=tuned)
    assert "being run again" not in first_of(lead, tuned=4)


def test_first_sentence_says_how_far_the_study_has_come(tmp_path):
    text = TABLES["first"](run_both_ways(tmp_path, new=(0.004, 0.001), count=1))
    assert "is not known yet" in text
    assert f"In the one pair that was run both ways, `{NAME}`" in text
    assert re.search(r"went from \+2\.00 \[[^]]+\] to \+0\.40 \[[^]]+\] points, joint 95 %", text)


def test_page_of_pairs_whose_lead_went_away_says_so(tmp_path):
    found = run_both_ways(tmp_path, old=(0.02, 0.001), new=(0.0002, 0.0005))
    assert TABLES["first"](found).startswith("**Most of the sweet spot's lead is gone")
    advice = TABLES["advice"](found)
    assert advice.startswith("Train the teacher to the end, raise T and train the student longer")
    assert "in 4 of these pairs it was not shown to be ahead" in advice
    assert "above 0 in 4 of 4 pairs run both ways, with tuned ones in 0" in (
        TABLES["caption_lead"](found)
    )


def test_page_of_pairs_whose_lead_stayed_says_so(tmp_path):
    found = run_both_ways(tmp_path, old=(0.02, 0.001), new=(0.02, 0.001))
    assert TABLES["first"](found).startswith("**At least half of the sweet spot's lead is left")
    assert TABLES["advice"](found).startswith("Look for the sweet spot, with tuned students as")
    assert "with tuned ones in 4" in TABLES["caption_lead"](found)
    assert found.lead.left.mean >= MARGIN


def test_advice_before_anything_is_known_is_to_let_the_search_decide(tmp_path):
    text = TABLES["advice"](assemble(tmp_path))
    assert text.startswith("Let `goodteacher search --patience 0` compare")
    assert "not known yet" in text
    assert "points" not in text


# --- who answers -------------------------------------------------------------------------------


def test_claims_are_about_tuned_pairs_alone_once_there_is_one(tmp_path):
    write(tmp_path, Planted(data="other", over_converged=(-0.01, 0.001), tuned=False))
    write(tmp_path, Planted(tuned=False))
    keep(tmp_path)
    found = assemble(tmp_path)
    assert [pair.pair.data for pair in found.answering] == ["made", "other"]
    assert TABLES["answers"](found).startswith("All of this is about 2 pairs with untuned")
    write(tmp_path, Planted())
    found = assemble(tmp_path)
    assert [pair.name for pair in found.answering] == [NAME]
    assert list(found.answers[0].by_pair) == [NAME]
    text = TABLES["answers"](found)
    assert text.startswith("All of this is about 1 pair with tuned students.")
    assert "points over hard labels and +1.00 over tuned label smoothing (1 pair)" in text
    assert "other" not in TABLES["pairs_C4"](found)


def test_tables_in_short_say_whose_students_were_tuned(tmp_path):
    write(tmp_path, Planted(data="other", tuned=False))
    write(tmp_path, Planted())
    found = assemble(tmp_path)
    rows = TABLES["in_short"](found).splitlines()[2:]
    assert ["| untuned |" in row for row in rows] == [False, True]


def test_table_in_brief_has_a_line_for_each_data_set_run_or_not(tmp_path):
    write(tmp_path, Planted(data="mnist"))
    write(tmp_path, Planted(data="mnist", student_role="wide", transfer="full", tuned=False))
    rows = TABLES["in_brief"](assemble(tmp_path)).splitlines()[2:]
    assert len(rows) == 4
    assert rows[0] == (
        "| MNIST | 1, tuned | +2.0 | +1.0 | +1.0 | knowledge 1 | 1, untuned | +2.0 | knowledge 1 |"
    )
    assert rows[3] == "| CIFAR-10 | not run |  |  |  |  | not run |  |  |"


def test_table_in_brief_leaves_untuned_pairs_out_once_one_is_tuned(tmp_path):
    write(tmp_path, Planted(data="mnist", over_converged=(0.05, 0.001), tuned=False))
    write(tmp_path, Planted(data="mnist", student_role="wide", over_converged=(0.01, 0.001)))
    write(tmp_path, Planted(data="mnist", teacher_role="small", over_converged=(0.03, 0.001)))
    row = TABLES["in_brief"](assemble(tmp_path)).splitlines()[2]
    assert row.startswith("| MNIST | 2, tuned |")
    assert "| +2.0 (+1.0 to +3.0) |" in row


# --- what has been run -------------------------------------------------------------------------


def test_what_is_to_come_is_counted_in_a_sentence_and_not_listed(tmp_path):
    write(tmp_path, Planted(data="mnist", student_role="wide", tuned=False))
    found = assemble(tmp_path)
    text = TABLES["coverage"](found)
    assert text.startswith("0 of the 1 pairs below were run with tuned students.")
    pairs = [key for key in found.planned if key.variation is None and not key.is_replicate]
    assert f"{len(pairs)} pairs ({len(pairs) - 1} for the first time)" in text
    write(tmp_path, Planted(data="mnist", student_role="wide"))
    later = TABLES["coverage"](assemble(tmp_path))
    assert later.startswith("All 1 pairs below were run with tuned students.")
    assert f"{len(pairs) - 1} pairs ({len(pairs) - 1} for the first time)" in later


def test_pages_mix_both_kinds_of_student_only_if_they_say_so(tmp_path):
    write(tmp_path, Planted(data="other", tuned=False))
    write(tmp_path, Planted())
    assert "they mix both kinds of student" in TABLES["coverage"](assemble(tmp_path))


def test_what_was_struck_is_named_with_its_reason_and_not_planned(tmp_path):
    found = assemble(tmp_path)
    reasons = struck()
    assert reasons
    planned = {key.folder for key in found.planned}
    for reason, keys in reasons.items():
        assert planned.isdisjoint(key.folder for key in keys)
        assert f"({reason})" in TABLES["coverage"](found)


def test_practice_says_what_was_gained_and_where_it_is_shown(tmp_path):
    write(tmp_path, Planted(data="mnist"))
    write(tmp_path, Planted(data="mnist", student_role="wide", transfer="full"))
    text = practice_page.when(assemble(tmp_path))
    assert "untuned" not in text.partition("):")[2]
    assert (
        "- Students that see a tenth of the data with labels: MNIST +2.0 (shown in 1 of 1)." in text
    )
    assert "are large enough for it: MNIST +2.0 (shown in 1 of 1)." in text
    assert "far too small" not in text


def test_practice_keeps_untuned_pairs_of_data_that_were_not_run_again(tmp_path):
    write(tmp_path, Planted(data="mnist"))
    write(tmp_path, Planted(data="mnist", student_role="wide", tuned=False))
    write(tmp_path, Planted(data="banking77", tuned=False))
    text = practice_page.when(assemble(tmp_path))
    assert "MNIST +2.0 (shown in 1 of 1)" in text
    assert "Banking77 (untuned) +2.0" in text


def test_practice_says_what_the_search_stopped_and_cost(results):
    found = assemble(results)
    assert re.search(r"In [01] of 1 pairs of the study", practice_page.stopped_early(found))
    assert re.search(r"\d+ % of its student time \(1 pairs\)", practice_page.search_cost(found))
