"""The thread pool as code: how helpers wait for a job, share it out, and sleep.

The pool is `POOL_BYTES` of zeroed memory, one subject to a cache line (128 bytes: Apple's have 128)
so that lines do not travel for nothing:

| bytes | what |
|---|---|
| 0 | taken: 1 while a caller has the helpers |
| 128 | state: the number of the job << 32, OPEN while it may be joined, helpers inside of it |
| 136 | stop: 1 where helpers are to return |
| 144 | sleepers: helpers that need to be woken |
| 152 | helpers: how many there are |
| 256 | the job: its kernel, args, tasks, chunk, shares |
| 384, 512 | a pthread mutex and condition, where helpers sleep |
| 640, 768, ... | of each share of the tasks, the first one that nobody has taken |

Every thread has a share of the tasks, the same part of every job: what it made in one is in its own
cache in the next (read from another core's, it comes at a third of the speed). A thread whose share
is done goes on with those of the others.

A job's fields are written before the state opens, and again only after every helper inside has left
it: a helper joins by adding itself to the state it saw, so it cannot join what is closed. Opening
and the count of sleepers are sequentially consistent: either the caller sees the sleeper, or the
sleeper sees the job.

Source    affinity scheduling is Markatos and LeBlanc's (IEEE TPDS 5, 1994); the pairing of state
          and sleepers is Dekker's.
"""

from __future__ import annotations

from chainrule.compiler.machine_code import host

HELPERS, STOP, MUTEX, CONDITION, NEXT = 152, 136, 384, 512, 640
MOST_SHARES = 256  # with more threads, some have the same
POOL_BYTES = NEXT + 128 * MOST_SHARES

CHUNKS = 8  # for each thread: few enough to be cheap, many enough to even out slow ones
PATIENCE = 2000  # rounds that a caller spins for the last helpers before it offers its processor

_HEAD = """
define internal void @pause() alwaysinline nounwind {
  {pause}
  ret void
}

; Some rounds of waiting, to find out how long they take.
define void @spin(ptr %pool, i64 %rounds) nounwind {
entry:
  %state_at = getelementptr i8, ptr %pool, i64 128
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %more, %loop ]
  %state = load atomic i64, ptr %state_at acquire, align 8
  call void @pause()
  %more = add i64 %i, 1
  %again = icmp ult i64 %more, %rounds
  br i1 %again, label %loop, label %done
done:
  ret void
}

; Tasks are taken, a chunk at a time, until none is left: first those of a share, then the others'.
define internal void @work(ptr %pool, i64 %first) noinline nounwind {
entry:
  %job = getelementptr i8, ptr %pool, i64 256
  %args_at = getelementptr i8, ptr %job, i64 8
  %tasks_at = getelementptr i8, ptr %job, i64 16
  %chunk_at = getelementptr i8, ptr %job, i64 24
  %shares_at = getelementptr i8, ptr %job, i64 32
  %kernel = load ptr, ptr %job, align 8
  %args = load ptr, ptr %args_at, align 8
  %tasks = load i64, ptr %tasks_at, align 8
  %chunk = load i64, ptr %chunk_at, align 8
  %shares = load i64, ptr %shares_at, align 8
  br label %starts
starts:
  %i = phi i64 [ 0, %entry ], [ %more, %following ]
  %number = add i64 %first, %i
  %own = urem i64 %number, %shares
  %next_at = call ptr @next_at(ptr %pool, i64 %own)
  %behind = add i64 %own, 1
  %share_end = call i64 @start_of(i64 %behind, i64 %tasks, i64 %shares)
  br label %look
look:
  %seen = load atomic i64, ptr %next_at monotonic, align 8
  %some = icmp slt i64 %seen, %share_end
  br i1 %some, label %take, label %following
take:
  %lo = atomicrmw add ptr %next_at, i64 %chunk monotonic, align 8
  %left = icmp slt i64 %lo, %share_end
  br i1 %left, label %run, label %following
run:
  %end = add i64 %lo, %chunk
  %hi = call i64 @llvm.smin.i64(i64 %end, i64 %share_end)
  call void %kernel(ptr %args, i64 %lo, i64 %hi)
  br label %look
following:
  %more = add i64 %i, 1
  %again = icmp ult i64 %more, %shares
  br i1 %again, label %starts, label %done
done:
  ret void
}

define internal ptr @next_at(ptr %pool, i64 %share) alwaysinline nounwind {
  %far = mul i64 %share, 128
  %offset = add i64 %far, {next}
  %place = getelementptr i8, ptr %pool, i64 %offset
  ret ptr %place
}

; The first task of a share.
define internal i64 @start_of(i64 %share, i64 %tasks, i64 %shares) alwaysinline nounwind {
  %many = mul i64 %share, %tasks
  %start = udiv i64 %many, %shares
  ret i64 %start
}
"""

_PARALLEL = """
; All tasks of a kernel, by this thread and the helpers that are free.
define void @parallel(ptr %pool, ptr %kernel, ptr %args, i64 %tasks) nounwind {
entry:
  %helpers_at = getelementptr i8, ptr %pool, i64 152
  %helpers = load atomic i64, ptr %helpers_at monotonic, align 8
  %has_helpers = icmp sgt i64 %helpers, 0
  %has_tasks = icmp sgt i64 %tasks, 1
  %worth = and i1 %has_helpers, %has_tasks
  br i1 %worth, label %look, label %alone
look:
  %seen = load atomic i64, ptr %pool monotonic, align 8
  %free = icmp eq i64 %seen, 0
  br i1 %free, label %take, label %alone
take:
  %pair = cmpxchg ptr %pool, i64 0, i64 1 acquire monotonic, align 8
  %taken = extractvalue { i64, i1 } %pair, 1
  br i1 %taken, label %open, label %alone
alone:
  call void %kernel(ptr %args, i64 0, i64 %tasks)
  ret void
open:
  %threads = add i64 %helpers, 1
  %pieces = mul i64 %threads, {chunks}
  %share = udiv i64 %tasks, %pieces
  %chunk = call i64 @llvm.smax.i64(i64 %share, i64 1)
  %job = getelementptr i8, ptr %pool, i64 256
  %args_at = getelementptr i8, ptr %job, i64 8
  %tasks_at = getelementptr i8, ptr %job, i64 16
  %chunk_at = getelementptr i8, ptr %job, i64 24
  %shares_at = getelementptr i8, ptr %job, i64 32
  %shares = call i64 @llvm.smin.i64(i64 %threads, i64 {most_shares})
  store ptr %kernel, ptr %job, align 8
  store ptr %args, ptr %args_at, align 8
  store i64 %tasks, ptr %tasks_at, align 8
  store i64 %chunk, ptr %chunk_at, align 8
  store i64 %shares, ptr %shares_at, align 8
  br label %starts
starts:
  %s = phi i64 [ 0, %open ], [ %another, %starts ]
  %next_at = call ptr @next_at(ptr %pool, i64 %s)
  %start = call i64 @start_of(i64 %s, i64 %tasks, i64 %shares)
  store atomic i64 %start, ptr %next_at monotonic, align 8
  %another = add i64 %s, 1
  %shared = icmp ult i64 %another, %shares
  br i1 %shared, label %starts, label %begin
begin:
  %state_at = getelementptr i8, ptr %pool, i64 128
  %before = load atomic i64, ptr %state_at monotonic, align 8
  %number = and i64 %before, -4294967296
  %following = add i64 %number, 4294967296
  %opened = or i64 %following, {open}
  %old = atomicrmw xchg ptr %state_at, i64 %opened seq_cst, align 8
  %sleepers_at = getelementptr i8, ptr %pool, i64 144
  %sleepers = load atomic i64, ptr %sleepers_at seq_cst, align 8
  %asleep = icmp sgt i64 %sleepers, 0
  br i1 %asleep, label %wake, label %share_out
wake:
  call void @wake(ptr %pool, i64 %sleepers, i64 %tasks)
  br label %share_out
share_out:
  call void @work(ptr %pool, i64 0)
  %was = atomicrmw and ptr %state_at, i64 {not_open} acq_rel, align 8
  br label %wait
wait:
  %i = phi i64 [ 0, %share_out ], [ %more, %spin ], [ %more, %yield ]
  %state = load atomic i64, ptr %state_at acquire, align 8
  %inside = and i64 %state, {inside}
  %finished = icmp eq i64 %inside, 0
  br i1 %finished, label %release, label %patience
patience:
  %more = add i64 %i, 1
  %patient = icmp ult i64 %i, {patience}
  br i1 %patient, label %spin, label %yield
spin:
  call void @pause()
  br label %wait
yield:
  %ignored = call i32 @sched_yield()
  br label %wait
release:
  store atomic i64 0, ptr %pool release, align 8
  ret void
}
"""

_HELPER = """
declare i32 @sched_yield()
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_signal(ptr)
declare i32 @pthread_cond_broadcast(ptr)

; No more helpers are woken than there are tasks for.
define internal void @wake(ptr %pool, i64 %sleepers, i64 %tasks) noinline nounwind {
entry:
  %mutex = getelementptr i8, ptr %pool, i64 {mutex}
  %condition = getelementptr i8, ptr %pool, i64 {condition}
  %locked = call i32 @pthread_mutex_lock(ptr %mutex)
  %all = icmp sle i64 %sleepers, %tasks
  br i1 %all, label %everyone, label %one
everyone:
  %woken = call i32 @pthread_cond_broadcast(ptr %condition)
  br label %done
one:
  %i = phi i64 [ 1, %entry ], [ %more, %one ]
  %signalled = call i32 @pthread_cond_signal(ptr %condition)
  %more = add i64 %i, 1
  %again = icmp slt i64 %more, %tasks
  br i1 %again, label %one, label %done
done:
  %unlocked = call i32 @pthread_mutex_unlock(ptr %mutex)
  ret void
}

; A helper's life: until it is told to stop it joins each job once, and between jobs it spins for
; some rounds, then sleeps.
define void @helper(ptr %pool, i64 %rounds, i64 %its_share) nounwind {
entry:
  %state_at = getelementptr i8, ptr %pool, i64 128
  %stop_at = getelementptr i8, ptr %pool, i64 136
  %sleepers_at = getelementptr i8, ptr %pool, i64 144
  %mutex = getelementptr i8, ptr %pool, i64 {mutex}
  %condition = getelementptr i8, ptr %pool, i64 {condition}
  br label %awake
awake:
  %last = phi i64 [ -1, %entry ], [ %number, %joined ], [ %last, %up ]
  br label %look
look:
  %i = phi i64 [ 0, %awake ], [ 0, %join ], [ %more, %spin ]
  %stop = load atomic i64, ptr %stop_at acquire, align 8
  %stopped = icmp ne i64 %stop, 0
  br i1 %stopped, label %done, label %see
see:
  %state = load atomic i64, ptr %state_at acquire, align 8
  %number = lshr i64 %state, 32
  %open_bit = and i64 %state, {open}
  %open = icmp ne i64 %open_bit, 0
  %new = icmp ne i64 %number, %last
  %ready = and i1 %open, %new
  br i1 %ready, label %join, label %idle
join:
  %inside = add i64 %state, 1
  %pair = cmpxchg ptr %state_at, i64 %state, i64 %inside acq_rel monotonic, align 8
  %is_in = extractvalue { i64, i1 } %pair, 1
  br i1 %is_in, label %joined, label %look
joined:
  call void @work(ptr %pool, i64 %its_share)
  %left = atomicrmw sub ptr %state_at, i64 1 release, align 8
  br label %awake
idle:
  %more = add i64 %i, 1
  %spins = icmp ult i64 %more, %rounds
  br i1 %spins, label %spin, label %tire
spin:
  call void @pause()
  br label %look
tire:
  %locked = call i32 @pthread_mutex_lock(ptr %mutex)
  %before = atomicrmw add ptr %sleepers_at, i64 1 seq_cst, align 8
  br label %check
check:
  %now = load atomic i64, ptr %state_at seq_cst, align 8
  %its_number = lshr i64 %now, 32
  %another = icmp ne i64 %its_number, %number
  %stop_now = load atomic i64, ptr %stop_at seq_cst, align 8
  %stopping = icmp ne i64 %stop_now, 0
  %rise = or i1 %another, %stopping
  br i1 %rise, label %up, label %sleep
sleep:
  %slept = call i32 @pthread_cond_wait(ptr %condition, ptr %mutex)
  br label %check
up:
  %after = atomicrmw sub ptr %sleepers_at, i64 1 seq_cst, align 8
  %unlocked = call i32 @pthread_mutex_unlock(ptr %mutex)
  br label %awake
done:
  ret void
}
"""

# Where there are no pthreads there are no helpers, and nothing to wake or wait for.
_NO_HELPER = """
define internal void @wake(ptr %pool, i64 %sleepers, i64 %tasks) nounwind {
  ret void
}
define internal i32 @sched_yield() nounwind {
  ret i32 0
}
"""

# isb: on aarch64 `yield` does nothing, while isb takes about as long as pause on x86.
_PAUSE = {
    "x86": "call void @llvm.x86.sse2.pause()",
    "arm": 'call void asm sideeffect "isb sy", "~{memory}"()',
    "": "fence acquire",
}


def pool_code(has_pthreads: bool) -> str:
    """The module: `parallel(pool, kernel, args, tasks)`, `helper(pool, rounds, share)`, `spin`."""
    triple = host()[0]
    family = "x86" if triple.startswith(("x86_64", "i686")) else ""
    family = "arm" if triple.startswith(("aarch64", "arm64")) else family
    numbers = {
        "{mutex}": str(MUTEX), "{condition}": str(CONDITION), "{next}": str(NEXT),
        "{most_shares}": str(MOST_SHARES), "{chunks}": str(CHUNKS), "{patience}": str(PATIENCE),
        "{pause}": _PAUSE[family],
        "{open}": str(1 << 31), "{not_open}": str(~(1 << 31)), "{inside}": str((1 << 31) - 1),
    }  # fmt: skip
    text = _HEAD + _PARALLEL + (_HELPER if has_pthreads else _NO_HELPER)
    for name, value in numbers.items():
        text = text.replace(name, value)
    return text
