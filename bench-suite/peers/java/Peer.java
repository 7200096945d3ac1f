import java.net.http.HttpClient;

/**
 * Java's virtual threads under the lab's workloads.
 *
 * This follows JEP 444 and the JDK's guide to virtual threads: a virtual thread per task with
 * Executors.newVirtualThreadPerTaskExecutor, never pooled; the executor closed by try-with-resources, which waits for
 * its tasks; blocking code and java.util.concurrent inside; a Semaphore to limit how many do something at once;
 * ReentrantLock rather than synchronized around blocking code. StructuredTaskScope would be the modern form of the
 * recursion, but is still a preview. The work runs for a while before anything counts, until the JIT has compiled it.
 */
final class Peer {
    public static void main(String[] arguments) throws Exception {
        var request = Lab.nextOrder();
        if (request == null) {
            return;
        }
        var workload = request.text("workload");
        int workers = request.count("workers");
        // HttpURLConnection would silently keep connections open.
        System.setProperty("http.keepAlive", "false");
        try {
            run(workload, workers, request);
        } catch (java.util.concurrent.ExecutionException wrong) {
            Lab.fail("wrong_answer", wrong.getCause());
        }
        // Virtual threads that are parked forever don't keep the process alive, but other threads may.
        System.exit(0);
    }

    private static void run(String workload, int workers, Lab.Line p) throws Exception {
        switch (workload) {
            case "spawn" -> Lab.serveOrders(workers, order -> Scheduling.spawn(p.number("size")));
            case "spawn-batch" -> Lab.serveOrders(workers, order -> Scheduling.spawnBatch(p.number("size")));
            case "yield" -> {
                Lab.serveOrders(workers, order -> Scheduling.yields(p.number("size"), p.number("yields")));
            }
            case "pingpong" -> Lab.serveOrders(workers, order -> Scheduling.pingpong(p.number("size")));
            case "skynet-spawn" -> Lab.serveOrders(workers, order -> Scheduling.skynet(p.count("size")));
            case "fib-spawn" -> {
                long forks = Scheduling.forks(p.number("size"));
                Lab.serveOrders(workers, order -> Scheduling.fib(p.number("size"), forks));
            }
            case "mpmc" -> Lab.serveOrders(workers, order -> Scheduling.mpmc(p));
            case "mutex-contended" -> Lab.serveOrders(
                workers, order -> Scheduling.mutex(p.number("size"), p.number("tasks"), p.number("held")));
            case "timers" -> Lab.serveOrders(
                workers, order -> Scheduling.timers(p.count("size"), p.number("span_ms"), p.number("seed")));
            case "idle", "idle-timer", "idle-stack" -> {
                Lab.serveOrders(workers, order -> Scheduling.idle(p.count("size"), workload));
            }
            case "crawl" -> Lab.serveOrders(
                workers, order -> Network.crawl(p.count("size"), p.count("at_once"), p.text("site")));
            case "download" -> {
                var client = HttpClient.newHttpClient();
                Lab.serveOrders(workers, order -> Network.download(
                    p.number("size"), p.number("timeout_ms"), p.text("site"), order.text("folder"), client));
            }
            case "echo", "http", "mixed" -> {
                Network.serve(workload, workers, p.numbers().getOrDefault("hogs", 0L));
            }
            default -> Lab.fail("refused", "no " + workload + " here");
        }
    }

    private Peer() {}
}
