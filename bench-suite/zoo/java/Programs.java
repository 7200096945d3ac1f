import java.util.ArrayList;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;

/** The programs without servers. */
final class Programs {
    static double idleWakeups(int size, int workers) throws Exception {
        Thread.sleep(100);
        var before = Zoo.cpu();
        for (int i = 0; i < size; i++) {
            Thread.sleep(1);
        }
        return (Zoo.cpu() - before) / 1000.0 / size;
    }

    /** Two threads that wake each other, until a neighbour has run. */
    private static final class Rally {
        final AtomicLong passes = new AtomicLong();
        final AtomicBoolean over = new AtomicBoolean();
        final AtomicReference<Thread> other = new AtomicReference<>();

        void turn(int me, Thread opponent) {
            while (!over.get() && passes.get() % 2 != me) {
                LockSupport.park(this);
            }
            if (!over.get()) {
                passes.incrementAndGet();
            }
            LockSupport.unpark(opponent);
        }

        long begin() throws InterruptedException {
            var me = Thread.currentThread();
            other.set(Thread.startVirtualThread(() -> {
                while (!over.get()) {
                    turn(1, me);
                }
            }));
            var seen = new AtomicLong();
            var neighbour = Thread.startVirtualThread(() -> {
                over.set(true);
                seen.set(passes.get());
            });
            for (var begun = System.nanoTime(); !over.get() && System.nanoTime() - begun < 3_000_000_000L; ) {
                turn(0, other.get());
            }
            over.set(true);
            LockSupport.unpark(other.get());
            neighbour.join();
            return seen.get();
        }
    }

    static double lifoChain(int size, int workers) throws Exception {
        try (var tasks = Executors.newVirtualThreadPerTaskExecutor()) {
            var rallies = new ArrayList<Future<Long>>();
            for (int i = 0; i < workers; i++) {
                rallies.add(tasks.submit(() -> new Rally().begin()));
            }
            long most = 0;
            for (var rally : rallies) {
                most = Math.max(most, rally.get());
            }
            return most;
        }
    }

    static double lifoHostage(int size, int workers) throws Exception {
        var free = new AtomicInteger();
        for (int i = 0; i < size; i++) {
            var called = new AtomicBoolean();
            var ran = new AtomicBoolean();
            var hostage = Thread.startVirtualThread(() -> {
                while (!called.get()) {
                    LockSupport.park();
                }
                ran.set(true);
            });
            Thread.sleep(1);
            Thread.startVirtualThread(() -> {
                called.set(true);
                LockSupport.unpark(hostage);
                for (var begun = System.nanoTime(); !ran.get() && System.nanoTime() - begun < 500_000_000L; ) {}
                free.addAndGet(ran.get() ? 1 : 0);
            }).join();
            hostage.join();
        }
        return free.get();
    }

    static double priorityInversion(int size, int workers) throws Exception {
        var lock = new ReentrantLock();
        var turns = new AtomicLong();
        var over = new AtomicBoolean();
        var locked = new CountDownLatch(1);
        Thread.startVirtualThread(() -> {
            lock.lock();
            locked.countDown();
            for (int i = 0; i < 5; i++) {
                Thread.yield();
            }
            lock.unlock();
        });
        locked.await();
        int busy = workers * 2;
        for (int i = 0; i < busy; i++) {
            Thread.startVirtualThread(() -> {
                while (!over.get()) {
                    Zoo.compute(1_000_000);
                    turns.incrementAndGet();
                    Thread.yield();
                }
            });
        }
        var waited = new AtomicLong();
        Thread.startVirtualThread(() -> {
            lock.lock();
            waited.set(turns.get());
            lock.unlock();
        }).join();
        over.set(true);
        return (double) waited.get() / busy;
    }

    static double mutexConvoy(int size, int workers) throws Exception {
        final int count = 32;
        var lock = new ReentrantLock();
        var tasks = new ArrayList<Thread>();
        var before = Zoo.switches();
        for (int i = 0; i < count; i++) {
            tasks.add(Thread.startVirtualThread(() -> {
                for (int j = 0; j < size; j++) {
                    lock.lock();
                    Zoo.compute(10_000);
                    lock.unlock();
                }
            }));
        }
        for (var task : tasks) {
            task.join();
        }
        return (double) (Zoo.switches() - before) / (count * size);
    }

    static double outsideSpawns(int size, int workers) throws Exception {
        start(size / 10).await();
        var begun = System.nanoTime();
        start(size).await();
        var inside = System.nanoTime() - begun;
        var ended = new AtomicReference<CountDownLatch>();
        begun = System.nanoTime();
        Thread.ofPlatform().start(() -> ended.set(start(size))).join();
        ended.get().await();
        return (double) (System.nanoTime() - begun) / inside;
    }

    private static CountDownLatch start(int count) {
        var ended = new CountDownLatch(count);
        for (int i = 0; i < count; i++) {
            Thread.startVirtualThread(ended::countDown);
        }
        return ended;
    }

    static double panicStorm(int size, int workers) throws Exception {
        int reported = 0;
        try (var tasks = Executors.newVirtualThreadPerTaskExecutor()) {
            for (int i = 0; i < size / 100; i++) {
                var batch = new ArrayList<Future<?>>();
                for (int j = 0; j < 100; j++) {
                    batch.add(tasks.submit(() -> {
                        Thread.yield();
                        throw new IllegalStateException("on purpose");
                    }));
                }
                for (var task : batch) {
                    try {
                        task.get();
                    } catch (ExecutionException thrown) {
                        reported += "on purpose".equals(thrown.getCause().getMessage()) ? 1 : 0;
                    }
                }
            }
            if (tasks.submit(() -> 1).get() != 1) {
                throw new IllegalStateException("nothing runs any more");
            }
        }
        return reported;
    }

    static double awaitChain(int size, int workers) throws Exception {
        try (var tasks = Executors.newVirtualThreadPerTaskExecutor()) {
            var first = new CompletableFuture<Long>();
            Future<Long> last = first;
            for (int i = 0; i < size; i++) {
                var before = last;
                last = tasks.submit(() -> before.get() + 1);
            }
            first.complete(0L);
            var links = last.get();
            // Interrupting a thread does not interrupt the thread that it waits for, so the last link ends alone.
            var never = new CompletableFuture<Long>();
            last = tasks.submit(() -> never.get() + 1);
            last.cancel(true);
            never.complete(0L);
            return last.isCancelled() ? links : 0;
        }
    }

    static double cancelledTimers(int size, int workers) {
        setAndCancel(10_000);
        var before = Zoo.used();
        setAndCancel(size);
        return (double) Math.max(Zoo.used() - before, 0) / size;
    }

    private static void setAndCancel(int count) {
        for (int i = 0; i < count; i++) {
            // A future that completes in time cancels its timer.
            new CompletableFuture<Integer>().orTimeout(1, TimeUnit.HOURS).complete(i);
        }
    }

    static double queueBound(int size, int workers) throws Exception {
        var queue = new ArrayBlockingQueue<Integer>(16);
        var taken = new AtomicInteger();
        var producer = Thread.startVirtualThread(() -> {
            try {
                for (int i = 0; i < size; i++) {
                    queue.put(i);
                    taken.incrementAndGet();
                }
            } catch (InterruptedException interrupted) {
                // The interrupt is how it ends.
            }
        });
        for (int before = 0, now; ; before = now) {
            Thread.sleep(100);
            now = taken.get();
            if (now == before && now > 0) {
                producer.interrupt();
                return now;
            }
        }
    }
}
