import java.util.ArrayList;
import java.util.SplittableRandom;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;

/** Pure scheduling, recursion, locks and queues. */
final class Scheduling {
    private static final int BATCH = 100;

    static long spawnAndJoin(ExecutorService threads, long begin, long end) throws Exception {
        var tasks = new ArrayList<Future<Long>>((int) (end - begin));
        for (long n = begin; n < end; n++) {
            long number = n;
            tasks.add(threads.submit(() -> number));
        }
        long sum = 0;
        for (var task : tasks) {
            sum += task.get();
        }
        return sum;
    }

    static Lab.Outcome spawn(long size) throws Exception {
        try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
            return new Lab.Outcome(size, spawnAndJoin(threads, 0, size));
        }
    }

    static Lab.Outcome spawnBatch(long size) throws Exception {
        try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
            long sum = 0;
            for (long begin = 0; begin < size; begin += BATCH) {
                sum += spawnAndJoin(threads, begin, Math.min(size, begin + BATCH));
            }
            return new Lab.Outcome(size, sum);
        }
    }

    static Lab.Outcome yields(long tasks, long yields) throws Exception {
        var done = new AtomicLong();
        try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
            for (long i = 0; i < tasks; i++) {
                threads.submit(() -> {
                    for (long j = 0; j < yields; j++) {
                        Thread.yield();
                    }
                    done.addAndGet(yields);
                });
            }
        }
        return new Lab.Outcome(done.get(), done.get());
    }

    static Lab.Outcome pingpong(long roundTrips) throws Exception {
        BlockingQueue<Long> there = new ArrayBlockingQueue<>(1);
        BlockingQueue<Long> back = new ArrayBlockingQueue<>(1);
        try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
            var pong = threads.submit(() -> {
                for (long i = 0; i < roundTrips; i++) {
                    back.put(there.take() + 1);
                }
                return null;
            });
            var ping = threads.submit(() -> {
                long sum = 0;
                for (long n = 0; n < roundTrips; n++) {
                    there.put(n);
                    long answer = back.take();
                    if (answer != n + 1) {
                        throw new IllegalStateException("the answer to " + n + " is " + answer);
                    }
                    sum += answer;
                }
                return sum;
            });
            long sum = ping.get();
            pong.get();
            return new Lab.Outcome(roundTrips, sum);
        }
    }

    private static long node(ExecutorService threads, long first, long leaves) throws Exception {
        if (leaves == 1) {
            return first;
        }
        long below = leaves / 10;
        var children = new ArrayList<Future<Long>>(10);
        for (long child = 0; child < 10; child++) {
            long from = first + child * below;
            children.add(threads.submit(() -> node(threads, from, below)));
        }
        long sum = 0;
        for (var child : children) {
            sum += child.get();
        }
        return sum;
    }

    static Lab.Outcome skynet(int levels) throws Exception {
        long leaves = 1;
        long nodes = 1;
        for (int i = 0; i < levels; i++) {
            leaves *= 10;
            nodes += leaves;
        }
        long all = leaves;
        try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
            return new Lab.Outcome(nodes, threads.submit(() -> node(threads, 0, all)).get());
        }
    }

    private static long fibTasks(ExecutorService threads, long n) throws Exception {
        if (n < 2) {
            return n;
        }
        var child = threads.submit(() -> fibTasks(threads, n - 1));
        long here = fibTasks(threads, n - 2);
        return here + child.get();
    }

    static long forks(long n) {
        return n < 2 ? 0 : 1 + forks(n - 1) + forks(n - 2);
    }

    static Lab.Outcome fib(long n, long forks) throws Exception {
        try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
            return new Lab.Outcome(forks, threads.submit(() -> fibTasks(threads, n)).get());
        }
    }

    private record Item(int producer, long number) {}

    private static final Item END = new Item(-1, 0);

    static Lab.Outcome mpmc(Lab.Line p) throws Exception {
        long each = p.number("size");
        int producers = p.count("producers");
        int consumers = p.count("consumers");
        BlockingQueue<Item> queue = new ArrayBlockingQueue<>(p.count("capacity"));
        try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
            if (p.number("alone") == 1) {
                long sum = threads.submit(() -> {
                    long got = 0;
                    for (long n = 0; n < each; n++) {
                        queue.put(new Item(0, n));
                        got += queue.take().number;
                    }
                    return got;
                }).get();
                return new Lab.Outcome(each, sum);
            }
            var count = new AtomicLong();
            var sum = new AtomicLong();
            var consuming = new ArrayList<Future<?>>();
            for (int i = 0; i < consumers; i++) {
                consuming.add(threads.submit(() -> {
                    long[] next = new long[producers];
                    long counted = 0;
                    long summed = 0;
                    for (var item = queue.take(); item != END; item = queue.take()) {
                        if (item.number < next[item.producer]) {
                            throw new IllegalStateException("a producer's items came out of order");
                        }
                        next[item.producer] = item.number + 1;
                        counted++;
                        summed += item.number;
                    }
                    count.addAndGet(counted);
                    sum.addAndGet(summed);
                    return null;
                }));
            }
            var producing = new ArrayList<Future<?>>();
            for (int i = 0; i < producers; i++) {
                int producer = i;
                producing.add(threads.submit(() -> {
                    for (long n = 0; n < each; n++) {
                        queue.put(new Item(producer, n));
                    }
                    return null;
                }));
            }
            for (var producer : producing) {
                producer.get();
            }
            // A BlockingQueue can't be closed, so each consumer gets an end marker.
            for (int i = 0; i < consumers; i++) {
                queue.put(END);
            }
            for (var consumer : consuming) {
                consumer.get();
            }
            return new Lab.Outcome(count.get(), sum.get());
        }
    }

    static Lab.Outcome mutex(long each, long tasks, long held) {
        // Not fair, as in most programs: a newcomer may overtake. Not `synchronized`, which pins the carrier before JDK
        // 24.
        var lock = new ReentrantLock();
        long[] counter = {0};
        try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
            for (long i = 0; i < tasks; i++) {
                threads.submit(() -> {
                    for (long j = 0; j < each; j++) {
                        lock.lock();
                        try {
                            for (long k = 0; k < held; k++) {
                                Thread.yield();
                            }
                            counter[0]++;
                        } finally {
                            lock.unlock();
                        }
                    }
                });
            }
        }
        return new Lab.Outcome(each * tasks, counter[0]);
    }

    static Lab.Outcome timers(int size, long spanMs, long seed) throws Exception {
        var random = new SplittableRandom(seed);
        long[] late = new long[size];
        try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
            for (int i = 0; i < size; i++) {
                int sleeper = i;
                long deadline = System.nanoTime() + random.nextLong(spanMs * 1_000_000 + 1);
                threads.submit(() -> {
                    long left = deadline - System.nanoTime();
                    if (left > 0) {
                        Thread.sleep(java.time.Duration.ofNanos(left));
                    }
                    late[sleeper] = System.nanoTime() - deadline;
                    return null;
                });
            }
        }
        return new Lab.Outcome(size, size, late, java.util.OptionalLong.empty(), java.util.OptionalLong.empty());
    }

    private static final ArrayList<Thread> PARKED = new ArrayList<>();

    private static final long HOUR_NS = 3_600_000_000_000L;

    /** Recursive calls of some 50 bytes each, about a kilobyte of stack in all. */
    private static final int STACK_FRAMES = 20;

    private static long nest(int calls) {
        return calls == 0 ? 0 : nest(calls - 1) + 1;
    }

    static Lab.Outcome idle(int size, String workload) throws Exception {
        var begun = new CountDownLatch(size);
        for (int i = 0; i < size; i++) {
            PARKED.add(Thread.startVirtualThread(() -> {
                if (workload.equals("idle-stack")) {
                    nest(STACK_FRAMES);
                }
                begun.countDown();
                for (;;) {
                    if (workload.equals("idle-timer")) {
                        LockSupport.parkNanos(HOUR_NS);
                    } else {
                        LockSupport.park();
                    }
                }
            }));
        }
        begun.await();
        return new Lab.Outcome(size, size);
    }

    private Scheduling() {}
}
