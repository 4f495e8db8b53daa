#!/usr/bin/python3
"""Boxes are joined, linger, end and are found again: by every door of the keeper's states."""

import json
import os
import shutil
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import hostfiles  # noqa: E402
import lives  # noqa: E402
import report  # noqa: E402
from chain import Chain, notes  # noqa: E402
from lives import SLEEP, policy, loginbox, boxes, box_of, gone  # noqa: E402
from pamc import Opener, open_one  # noqa: E402
from processes import is_alive  # noqa: E402
from report import contains, equal, test, true, wait_until  # noqa: E402
from ssh import background, run, ssh, ssh_command  # noqa: E402
from terminal import Terminal  # noqa: E402


# ---- joining ------------------------------------------------------------------------------

@test
def the_second_login_joins_and_sees_the_first_ones_processes():
    policy()
    with background("alice", "(setsid sleep 4731 &) ; echo ready; exec cat") as first:
        first.read_line()
        contains(ssh("alice", "ps -ef").stdout, "sleep 4731", "the second login's ps")
        wait_until(lambda: box_of("alice")["n_sessions"] == 1, "the second session has ended")
    gone("alice")


@test
def each_login_has_its_own_environment_and_limits():
    policy("nofile = 300")
    with open_one("alice"):
        for words in ("one", "two"):
            done = run(["su", "alice", "-c", "echo $LANG; ulimit -n"],
                       env={**os.environ, "LANG": words})
            equal(done.stdout.split("\n")[0], words, "LANG of a login that joins")
    with open_one("alice"):
        equal(ssh("alice", "ulimit -n").stdout, "300\n", "limit of a login that joins")
    gone("alice")


@test
def nobody_joins_another_users_box():
    policy()
    with open_one("alice"), open_one("bob"):
        equal(len(boxes()), 2, "boxes")
        true(box_of("alice")["init_pid"] != box_of("bob")["init_pid"], "they are two boxes")
    gone("alice")
    gone("bob")


@test
def a_session_each_where_the_box_is_not_shared():
    policy("share = session")
    with open_one("alice"), open_one("alice"):
        equal(len(boxes("alice")), 2, "boxes of alice")
    gone("alice")


@test
def the_first_of_two_logs_out_and_the_second_is_not_disturbed():
    policy()
    with background("alice", "echo ready; exec cat") as second:
        second.read_line()
        first = open_one("alice")
        chain = Chain("alice")
        first.close()
        second.stdin.write(b"still here\n")
        equal(second.read_line(), "still here", "answer of the second session")
        equal(box_of("alice")["n_sessions"], 1, "sessions")
    wait_until(lambda: not chain.alive(), "no process of the box is left")
    gone("alice")


@test
def two_openers_at_once_get_one_box():
    policy()
    for _ in range(report.count(200, 20)):
        pair = [Opener("alice"), Opener("alice")]
        true(all(one.opened() for one in pair), "both are in", [one.said for one in pair])
        equal(box_of("alice")["n_sessions"], 2, "sessions in the one box")
        for one in pair:
            one.let_go()
        equal([one.ended() for one in pair], [0, 0], "both close")
    gone("alice")


# The last of them waits for all the others, on a machine that may have more to do.
BURST = "[global]\ntimeout = 2m\n"


def burst(number, users):
    """Returns the slowest answer in seconds."""
    began = time.monotonic()
    openers = [Opener(users[turn % len(users)]) for turn in range(number)]
    started = time.monotonic() - began
    wrong = [one.said for one in openers if not one.opened(180)]
    equal(wrong, [], "logins of the burst that were refused")
    report.note(f"{number} logins started in {started:.2f} s, the last was in after "
                f"{time.monotonic() - began:.2f} s")
    seen = [box["n_sessions"] for box in boxes()]
    for one in openers:
        one.let_go()
    equal([one.ended() for one in openers], [0] * number, "all close well")
    return seen


@test
def forty_logins_of_one_user_at_once_are_in_one_box():
    policy(more=BURST)
    equal(burst(40, ["alice"]), [40], "sessions in each box")
    gone("alice")


@test
def forty_logins_of_one_user_at_once_with_a_box_each():
    policy("share = session", more=BURST)
    equal(burst(40, ["alice"]), [1] * 40, "sessions in each box")
    gone("alice")


@test
def a_burst_of_a_hundred_logins():
    policy(more=BURST)
    equal(sorted(burst(100, ["alice", "bob", "carol"])), [33, 33, 34], "sessions in each box")
    for user in ("alice", "bob", "carol"):
        gone(user)


# ---- a policy that changes while a box lives --------------------------------------------------

@test
def a_changed_policy_is_a_new_generation_and_status_says_so():
    policy()
    with open_one("alice"):
        first = box_of("alice")["id"]
        contains(loginbox("status", first), "as when the box was made", "status before")
        policy("nofile = 300")
        contains(loginbox("status", first), "changed since: a new login gets another box",
                 "status after")
        equal(json.loads(loginbox("status", first, "--json"))[0]["policy"], "changed", "in JSON")
        with open_one("alice"):
            equal(len(boxes("alice")), 2, "boxes of alice")
            policy()
            with open_one("alice"):
                sessions = {box["id"]: box["n_sessions"] for box in boxes("alice")}
                equal(sessions[first], 2, "sessions in the first box, whose policy is back")
        policy("", "group = students\n")
        host.write_policy("[rule r]\nuser = alice\nbox = deny\n")
        contains(loginbox("status", first), "a new login is refused", "status of a denied user")
        host.write_policy("")
        contains(loginbox("status", first), "a new login gets no box", "status of a free user")
    gone("alice")


@test
def a_strict_rule_does_not_join_a_lax_box():
    host.write_policy("[box lax]\nnetwork = none\n[box strict]\ninherit = lax\nnofile = 128\n"
                      "[rule a]\nuser = alice\nservice = boxed\nbox = lax\n"
                      "[rule b]\nuser = alice\nbox = strict\n")
    with open_one("alice"):
        equal(ssh("alice", "ulimit -n").stdout, "128\n", "limit of the strict login")
    gone("alice")


# ---- ceilings -----------------------------------------------------------------------------------

@test
def max_sessions_counts_all_boxes_of_the_user():
    policy("share = session\nmax_sessions = 3")
    openers = [open_one("alice") for _ in range(3)]
    log = host.LogMark()
    fourth = Opener("alice")
    true(not fourth.opened(), "a fourth session is refused")
    fourth.close()
    true(any("as many sessions as max_sessions allows (3)" in line for line in log.lines()),
         "the log says why", log.lines())
    with open_one("bob"):
        pass
    openers.pop().close()
    openers.append(open_one("alice"))
    for one in openers:
        one.close()
    gone("alice")


@test
def a_ceiling_refuses_also_where_errors_are_allowed():
    policy("max_sessions = 1", more="[global]\non_error = allow\n")
    with open_one("alice"):
        log = host.LogMark()
        second = Opener("alice")
        true(not second.opened(), "a second session is refused, not let in without a box")
        second.close()
        equal([line["result"] for line in log.results()], ["denied"], "results in the log")
    gone("alice")


@test
def max_sessions_holds_when_twenty_come_at_once():
    policy("max_sessions = 5")
    openers = [Opener("alice") for _ in range(20)]
    equal(sum(one.opened(120) for one in openers), 5, "sessions that were let in")
    for one in openers:
        one.close()
    gone("alice")


@test
def max_boxes_is_exact_and_the_last_quarter_is_for_others():
    policy("share = session", more="[global]\nmax_boxes = 8\n")
    openers = [Opener("alice") for _ in range(20)]
    let_in = sum(one.opened(120) for one in openers)
    # At the edge several may step back at once; none is ever too much.
    true(4 <= let_in <= 6, "boxes that one user gets of eight", let_in)
    refused = [one.said for one in openers if one.code]
    true(all("loginbox" in said for said in refused), "each refused one is told", refused)
    with open_one("bob"), open_one("carol"):
        log = host.LogMark()
        over = Opener("alice")
        true(not over.opened(), "one more is refused")
        over.close()
        true(any("only those for users without a box are left" in line for line in log.lines()),
             "the log says why", log.lines())
    for one in openers:
        one.close()
    for user in ("alice", "bob", "carol"):
        gone(user)


@test
def a_full_host_refuses_the_next_user_with_a_reason():
    policy(more="[global]\nmax_boxes = 2\n")
    with open_one("alice"), open_one("bob"):
        log = host.LogMark()
        third = Opener("carol")
        true(not third.opened(), "a third user is refused")
        third.close()
        true(any("as many boxes as max_boxes allows (2)" in line for line in log.lines()),
             "the log says why", log.lines())
        with open_one("alice"):
            pass
    with open_one("carol"):
        pass
    for user in ("alice", "bob", "carol"):
        gone(user)


# ---- how long sessions and what they leave may live --------------------------------------------

@test
def the_end_of_a_longest_session_is_announced_and_kept():
    policy("session_max = 4s")
    with Terminal(ssh_command("alice", (), ["-tt"])) as terminal:
        terminal.expect(r"this session ends in \d+ seconds? \(session_max\)", 20)
        terminal.wait(30)
    gone("alice")


@test
def what_is_left_is_killed_with_the_last_session():
    policy()
    with open_one("alice", command=SLEEP):
        chain = Chain("alice")
    wait_until(lambda: not chain.alive_inside(), "nothing of the box is left")
    gone("alice")


@test
def what_is_left_lives_for_its_time():
    policy("leftover = kill:8s")
    ssh("alice", "setsid sleep 4732 >/dev/null 2>&1 </dev/null & sleep 0.2")
    chain = Chain("alice")
    true(chain.alive_inside(), "it lives after the logout")
    wait_until(lambda: box_of("alice")["n_sessions"] == 0, "the session has ended")
    contains(ssh("alice", "ps -ef").stdout, "sleep 4732", "the next login finds it")
    wait_until(lambda: not chain.alive_inside(), "it ends in the end", 60)
    gone("alice")


@test
def what_is_kept_lives_as_long_as_it_runs():
    policy("leftover = keep")
    over = "/home/alice/over"
    ssh("alice", "setsid sh -c 'until test -e over; do sleep 0.1; done'"
                 " >/dev/null 2>&1 </dev/null & sleep 0.2")
    chain = Chain("alice")
    time.sleep(2)
    true(chain.alive_inside(), "it lives after the logout")
    hostfiles.write(over, "")
    wait_until(lambda: not chain.alive(), "the box ends with its last process")
    os.unlink(over)
    gone("alice")


@test
def a_detached_tmux_is_found_again():
    policy("leftover = keep:30d")
    if not shutil.which("tmux"):
        raise report.Skip("tmux is not installed")
    ssh("alice", "tmux new-session -d -s kept 'cat'; tmux send-keys -t kept found-again Enter")
    wait_until(lambda: "found-again" in ssh("alice", "tmux capture-pane -p -t kept").stdout,
               "the pane in the next login")
    ssh("alice", "tmux kill-server")
    gone("alice")


# ---- nested -----------------------------------------------------------------------------------

@test
def the_marker_says_what_becomes_of_a_nested_session():
    for word in ("refuse", "stay"):
        policy(more=f"[global]\nnested = {word}\n")
        contains(ssh("alice", "cat /run/loginbox/box").stdout, f"nested {word}\n", "the marker")
        gone("alice")


# ---- the end from every side ----------------------------------------------------------------

@test
def kill_by_id_and_by_user():
    policy("share = session")
    openers = [open_one("alice") for _ in range(3)]
    with open_one("bob"):
        first = boxes("alice")[0]["id"]
        loginbox("kill", first)
        equal(len(boxes("alice")), 2, "boxes of alice after the kill of one")
        loginbox("kill", "alice")
        equal((boxes("alice"), len(boxes("bob"))), ([], 1), "boxes after the kill of all")
    contains(loginbox("kill", "alice", code=111), "no such box lives", "a second kill")
    for one in openers:
        one.let_go()
        one.ended()
    gone("alice")


@test
def a_user_ends_the_own_box_and_sees_no_other():
    policy()
    with open_one("bob"):
        done = ssh("alice", "PATH=$PATH:/usr/sbin; loginbox list --json; loginbox status bob; "
                            "loginbox gc; loginbox kill alice; sleep 20; echo not reached")
        seen = json.loads(done.stdout)
        equal([box["user"] for box in seen], ["alice"], "boxes that alice sees")
        contains(done.stderr, "no such box lives", "status of another's box")
        contains(done.stderr, "only root may use gc", "gc")
        true("not reached" not in done.stdout, "the box ends", done.stdout)
        equal(len(boxes("bob")), 1, "boxes of bob")
    gone("alice")


@test
def a_login_does_not_wait_for_the_death_of_the_old_box():
    policy()
    holder = open_one("alice")
    chain = Chain("alice")
    # Init cannot be reaped while a process of the box has a parent outside that is stopped.
    os.kill(holder.pid, signal.SIGSTOP)
    os.kill(chain.init, signal.SIGKILL)
    try:
        wait_until(lambda: not is_alive(chain.init), "init is dead")
        # Whoever waited for the death would be refused: it comes after this.
        with open_one("alice"):
            pass
    finally:
        os.kill(holder.pid, signal.SIGCONT)
    holder.let_go()
    holder.ended()
    gone("alice")


@test
def a_stopped_keeper_costs_its_user_one_new_box():
    policy()
    with open_one("alice"):
        chain = Chain("alice")
        os.kill(chain.keeper, signal.SIGSTOP)
        try:
            with open_one("bob"), open_one("alice"):
                equal(len(notes("alice")), 2, "boxes of alice")
        finally:
            os.kill(chain.keeper, signal.SIGCONT)
    gone("alice")


@test
def an_edited_note_costs_nothing_but_the_box():
    policy()
    for line in ("keeper -1 5", "keeper 4194304 1", "init 0 0", "garbage", ""):
        holder = open_one("alice")
        chain = Chain("alice")
        box = box_of("alice")["id"]
        path = f"{host.STATE}/boxes/{hostfiles.USERS['alice']}/{box}/note"
        with open(path, encoding="ascii") as file:
            text = file.read()
        hostfiles.write(path, text.replace(text.split("\n")[6], line) if line else "", 0o600)
        with open_one("alice"):
            equal(box_of("alice")["n_sessions"], 2, f"a living box is joined ({line})")
        os.kill(chain.keeper, signal.SIGKILL)
        holder.let_go()
        holder.ended()
        with open_one("alice"):
            true(box_of("alice")["id"] != box, f"a dead one is not ({line})")
        gone("alice")


# ---- logs ---------------------------------------------------------------------------------

@test
def logs_of_a_box_and_of_a_user():
    policy()
    with open_one("alice"), open_one("bob"):
        box = box_of("alice")["id"]
    host.wait_for_log()
    lines = loginbox("logs", box, "--file", host.LOG).splitlines()
    true(lines and all(f"id={box}" in line and "user=alice" in line for line in lines),
         "lines of the box", lines)
    lines = loginbox("logs", "bob", "--file", host.LOG).splitlines()
    true(lines and all("user=bob" in line for line in lines), "lines of bob", lines)
    contains(loginbox("logs", "nobodyknows", "--file", host.LOG, code=111),
             "there is none of this user or box", "logs of nobody")
    shutil.copy(host.LOG, "/var/log/auth.log")
    contains(loginbox("logs", box), f"id={box}", "lines found by themselves")
    os.unlink("/var/log/auth.log")
    gone("alice")
    gone("bob")


@test
def what_json_promises():
    policy()
    with open_one("alice"):
        box = box_of("alice")
        equal(sorted(box), ["age_s", "box", "id", "init_pid", "more", "n_sessions", "plan",
                            "rule", "sessions", "uid", "user"], "fields of list --json")
        equal(sorted(box["sessions"][0]), ["age_s", "pid", "rhost", "service", "tty"],
              "fields of a session")
        equal((box["user"], box["uid"], box["box"], box["sessions"][0]["service"]),
              ("alice", hostfiles.USERS["alice"], "lives", "boxed"), "values")
        equal(sorted(json.loads(loginbox("status", "--json"))[0]), sorted([*box, "policy"]),
              "fields of status --json")
    gone("alice")


if __name__ == "__main__":
    sys.exit(lives.main())
