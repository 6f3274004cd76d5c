"""The thread pool: every task once, on any number of threads, from anywhere, at any time."""

import ctypes
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from chainrule.compiler import threads
from chainrule.compiler.machine_code import Loaded, object_code
from tests.forking import forks

# count[task] += 1 for each task done, so that twice or never shows; `slow` works a while at each.
# `meet` waits in each of its two tasks for the other; `begin` waits until two threads are at work,
# and notes the first task of each. `nested` gives each task to the pool again.
IR = """
declare i32 @sched_yield()

define void @count(ptr %args, i64 %lo, i64 %hi) {
entry:
  %any = icmp slt i64 %lo, %hi
  br i1 %any, label %loop, label %done
loop:
  %i = phi i64 [ %lo, %entry ], [ %j, %loop ]
  %at = getelementptr i64, ptr %args, i64 %i
  %old = load i64, ptr %at
  %new = add i64 %old, 1
  store i64 %new, ptr %at
  %j = add i64 %i, 1
  %more = icmp slt i64 %j, %hi
  br i1 %more, label %loop, label %done
done:
  ret void
}

define void @slow(ptr %args, i64 %lo, i64 %hi) {
entry:
  %left = alloca i64
  store i64 20000, ptr %left
  br label %loop
loop:
  %n = load volatile i64, ptr %left
  %m = sub i64 %n, 1
  store volatile i64 %m, ptr %left
  %again = icmp sgt i64 %m, 0
  br i1 %again, label %loop, label %done
done:
  call void @count(ptr %args, i64 %lo, i64 %hi)
  ret void
}

define internal void @wait_for_two(ptr %count) {
entry:
  br label %loop
loop:
  %yielded = call i32 @sched_yield()
  %now = load atomic i64, ptr %count acquire, align 8
  %all = icmp sge i64 %now, 2
  br i1 %all, label %done, label %loop
done:
  ret void
}

define void @meet(ptr %args, i64 %lo, i64 %hi) {
entry:
  %n = sub i64 %hi, %lo
  %old = atomicrmw add ptr %args, i64 %n seq_cst
  call void @wait_for_two(ptr %args)
  ret void
}

; args: how many calls there were, then the first tasks of the first two
define void @begin(ptr %args, i64 %lo, i64 %hi) {
entry:
  %old = atomicrmw add ptr %args, i64 1 seq_cst
  %early = icmp slt i64 %old, 2
  br i1 %early, label %note, label %done
note:
  %place = add i64 %old, 1
  %at = getelementptr i64, ptr %args, i64 %place
  store i64 %lo, ptr %at
  call void @wait_for_two(ptr %args)
  br label %done
done:
  ret void
}

; args: parallel, pool, count's array with 64 counts for each outer task
define void @nested(ptr %args, i64 %lo, i64 %hi) {
entry:
  %parallel = load ptr, ptr %args
  %pool_at = getelementptr ptr, ptr %args, i64 1
  %pool = load ptr, ptr %pool_at
  %counts_at = getelementptr ptr, ptr %args, i64 2
  %counts = load ptr, ptr %counts_at
  br label %loop
loop:
  %i = phi i64 [ %lo, %entry ], [ %j, %loop ]
  %skip = mul i64 %i, 64
  %its = getelementptr i64, ptr %counts, i64 %skip
  call void %parallel(ptr %pool, ptr @count, ptr %its, i64 64)
  %j = add i64 %i, 1
  %more = icmp slt i64 %j, %hi
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""

NAMES = ("count", "slow", "meet", "begin", "nested")


@pytest.fixture(scope="module")
def kernels():
    loaded = Loaded(object_code(IR, 1))
    return {name: loaded.address(name) for name in NAMES} | {
        "loaded": loaded
    }


@pytest.fixture(autouse=True)
def threads_as_before():
    before = threads.get_threads()
    yield
    threads.set_threads(before)


def run(kernel: int, args: int, tasks: int) -> None:
    parallel, pool = threads.runtime_pointers()
    pointer = ctypes.c_void_p
    form = ctypes.CFUNCTYPE(None, pointer, pointer, pointer, ctypes.c_int64)
    form(parallel)(pool, kernel, args, tasks)


@pytest.mark.parametrize("number", [1, 2, 3, 8])
def test_every_task_is_done_once(kernels, number):
    threads.set_threads(number)
    for tasks in (0, 1, 2, 3, 7, 64, 1000, 100_003):
        counts = np.zeros(max(tasks, 1), np.int64)
        for _ in range(5):
            run(kernels["count"], counts.ctypes.data, tasks)
        assert (counts[:tasks] == 5).all()


def test_each_thread_begins_with_its_own_share_of_the_tasks(kernels):
    """So that what it made in one job is in its own cache in the next."""
    threads.set_threads(2)
    for tasks in (2, 9, 64, 1001):
        calls = np.zeros(3, np.int64)
        run(kernels["begin"], calls.ctypes.data, tasks)
        assert set(calls[1:]) == {0, tasks // 2}


def test_many_short_jobs_one_after_the_other(kernels):
    threads.set_threads(4)
    counts = np.zeros(40, np.int64)
    for _ in range(5000):
        run(kernels["count"], counts.ctypes.data, 40)
    assert (counts == 5000).all()


def test_two_threads_are_at_work_together(kernels):
    threads.set_threads(2)
    for pause in (0.0, 0.0, 0.01, 0.01):  # while the helper spins, and when it sleeps
        time.sleep(pause)
        arrived = ctypes.c_int64(0)
        run(kernels["meet"], ctypes.addressof(arrived), 2)
        assert arrived.value == 2


def test_one_of_many_sleeping_helpers_is_enough_for_two_tasks(kernels):
    threads.set_threads(6)
    for _ in range(20):
        time.sleep(0.002)
        arrived = ctypes.c_int64(0)
        run(kernels["meet"], ctypes.addressof(arrived), 2)
        assert arrived.value == 2


def test_callers_from_many_python_threads(kernels):
    threads.set_threads(3)
    failures = []

    def call(kind):
        counts = np.zeros(50, np.int64)
        for i in range(1, 201):
            run(kernels[kind], counts.ctypes.data, 50)
            if not (counts == i).all():
                failures.append((kind, i))

    callers = [threading.Thread(target=call, args=(k,)) for k in ("count", "slow") * 3]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not failures


def test_a_task_may_call_the_pool_again(kernels):
    threads.set_threads(3)
    counts = np.zeros((30, 64), np.int64)
    args = (ctypes.c_void_p * 3)(*threads.runtime_pointers(), counts.ctypes.data)
    run(kernels["nested"], ctypes.addressof(args), 30)
    assert (counts == 1).all()


def test_the_number_of_threads_changes_while_others_call(kernels):
    wrong, done = [], threading.Event()

    def call():
        counts, i = np.zeros(500, np.int64), 0
        while not done.is_set():
            i += 1
            run(kernels["slow"], counts.ctypes.data, 500)
            if not (counts == i).all():
                wrong.append(i)

    caller = threading.Thread(target=call)
    caller.start()
    for number in (1, 4, 2, 7, 3):
        threads.set_threads(number)
        assert threads.get_threads() == number
        assert len([t for t in threading.enumerate() if t.name.startswith("chainrule-")]) < number
        time.sleep(0.01)
    done.set()
    caller.join()
    assert not wrong


def test_helpers_sleep_when_there_is_nothing_to_do(kernels):
    threads.set_threads(4)
    counts = np.zeros(100, np.int64)
    run(kernels["count"], counts.ctypes.data, 100)
    time.sleep(0.05)
    used = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - used < 0.1  # four that spin would use 0.3 s each


@pytest.mark.parametrize("wrong", [0, -1, 1.0, "2", None, True])
def test_a_wrong_number_of_threads(wrong):
    with pytest.raises(ValueError, match="set_threads takes a whole number of threads, 1 or more"):
        threads.set_threads(wrong)


def python(text: str, **environment) -> str:
    """What a fresh interpreter prints; it must end by itself, and well."""
    done = subprocess.run(
        [sys.executable, "-c", "from chainrule.compiler import threads\n" + text],
        env=os.environ | environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout.strip()


def test_the_environment_sets_the_number_and_nothing_starts_at_import():
    text = (
        "import threading; print(threading.active_count(), threads.get_threads()); "
        "threads.runtime_pointers(); print(threading.active_count())"
    )
    assert python(text, CHAINRULE_THREADS="3").split() == ["1", "3", "3"]


@pytest.mark.parametrize("wrong", ["0", "many", "-2", "1.5"])
def test_a_wrong_number_in_the_environment(wrong):
    text = "try: threads.runtime_pointers()\nexcept ValueError as error: print(error)"
    assert python(text, CHAINRULE_THREADS=wrong).startswith(
        "the environment's CHAINRULE_THREADS is a whole number of threads, 1 or more; got"
    )


def test_by_default_all_processors_of_this_process():
    text = (
        "import os; count = getattr(os, 'process_cpu_count', None) or "
        "(lambda: len(os.sched_getaffinity(0))); print(threads.get_threads() == count())"
    )
    if sys.platform == "linux":
        assert python(text, CHAINRULE_THREADS="") == "True"


def test_the_process_ends_while_helpers_sleep_spin_and_work():
    work = f"""
import ctypes, threading, time
from chainrule.compiler.machine_code import Loaded, object_code
threads.set_threads(4)
loaded = Loaded(object_code({IR!r}, 1))
counts = (ctypes.c_int64 * 1000000)()
form = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64)
parallel, pool = threads.runtime_pointers()
call = lambda tasks: form(parallel)(pool, loaded.address("slow"), ctypes.addressof(counts), tasks)
"""
    python(work)
    python(work + "call(10)")
    python(work + "call(10); time.sleep(0.1)")
    python(work + "threading.Thread(target=call, args=(1000,), daemon=True).start()")


def test_tasks_are_done_after_the_helpers_were_stopped():
    text = f"""
import atexit, ctypes
from chainrule.compiler.machine_code import Loaded, object_code
counts = (ctypes.c_int64 * 10)()
def last():
    form = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64)
    parallel, pool = threads.runtime_pointers()
    form(parallel)(pool, loaded.address("count"), ctypes.addressof(counts), 10)
    print(sum(counts))
atexit.register(last)  # runs after the end of the pool, which is registered later
loaded = Loaded(object_code({IR!r}, 1))
threads.runtime_pointers()
"""
    assert python(text, CHAINRULE_THREADS="3") == "10"


@forks
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_helpers_of_its_own(kernels):
    threads.set_threads(2)
    arrived = ctypes.c_int64(0)
    run(kernels["meet"], ctypes.addressof(arrived), 2)
    child = os.fork()
    if child == 0:
        arrived.value = 0
        run(kernels["meet"], ctypes.addressof(arrived), 2)  # hangs without a helper
        os._exit(0 if arrived.value == 2 else 1)
    until = time.monotonic() + 20
    ended = (0, 0)
    while ended[0] == 0 and time.monotonic() < until:
        ended = os.waitpid(child, os.WNOHANG)
        time.sleep(0.01)
    if ended[0] == 0:
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert ended == (child, 0)
