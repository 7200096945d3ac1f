import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.OptionalLong;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLong;

/** Servers and clients: blocking sockets on virtual threads, and the JDK's HTTP server and client. */
final class Network {
    private static final byte[] BODY = "Hello, world!\n".getBytes(StandardCharsets.UTF_8);
    private static final int BACKLOG = 16384;

    static void serve(String workload, int workers, long hogs) throws Exception {
        var loopback = InetAddress.getLoopbackAddress();
        int port;
        if (workload.equals("http")) {
            var server = HttpServer.create(new InetSocketAddress(loopback, 0), BACKLOG);
            server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
            server.createContext("/", exchange -> {
                try (exchange) {
                    exchange.getRequestBody().readAllBytes();
                    exchange.getResponseHeaders().set("Content-Type", "text/plain; charset=utf-8");
                    exchange.sendResponseHeaders(200, BODY.length);
                    exchange.getResponseBody().write(BODY);
                }
            });
            server.start();
            port = server.getAddress().getPort();
        } else {
            var listener = new ServerSocket(0, BACKLOG, loopback);
            Thread.startVirtualThread(() -> acceptAll(listener));
            port = listener.getLocalPort();
        }
        for (long i = 0; i < hogs; i++) {
            Thread.startVirtualThread(Network::cpuBoundTask);
        }
        Lab.say("{\"type\":\"listening\",\"address\":\"127.0.0.1:" + port + "\",\"workers\":" + workers + "}");
        while (Lab.nextOrder() != null) {}
        System.exit(0);
    }

    private static void acceptAll(ServerSocket listener) {
        try {
            for (;;) {
                var socket = listener.accept();
                socket.setTcpNoDelay(true);
                Thread.startVirtualThread(() -> echo(socket));
            }
        } catch (IOException closed) {
            Lab.fail("crashed", closed);
        }
    }

    private static void echo(Socket socket) {
        try (socket) {
            var input = socket.getInputStream();
            var output = socket.getOutputStream();
            byte[] buffer = new byte[4096];
            for (int length; (length = input.read(buffer)) >= 0; ) {
                output.write(buffer, 0, length);
            }
        } catch (IOException reset) {
            // A client that goes away early does not concern the server.
        }
    }

    private static volatile long sink;

    /** Repeatedly computes for 100 ms without a pause and sleeps for 10 ms. */
    private static void cpuBoundTask() {
        long state = 0;
        for (;;) {
            long begun = System.nanoTime();
            while (System.nanoTime() - begun < 100_000_000) {
                for (int i = 0; i < 1000; i++) {
                    state = state * 0x5851F42D4C957F2DL + 1;
                }
            }
            sink = state;
            try {
                Thread.sleep(10);
            } catch (InterruptedException never) {
                return;
            }
        }
    }

    static Lab.Outcome crawl(int pages, int atOnce, String site) throws Exception {
        var turns = new Semaphore(atOnce);
        var now = new AtomicLong();
        var most = new AtomicLong();
        try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
            var tasks = new ArrayList<Future<Long>>();
            for (int page = 0; page < pages; page++) {
                int index = page;
                tasks.add(threads.submit(() -> {
                    turns.acquire();
                    try {
                        most.accumulateAndGet(now.incrementAndGet(), Math::max);
                        byte[] body = getOnce("http://" + site + "/" + index);
                        now.decrementAndGet();
                        long sum = 0;
                        for (byte each : body) {
                            sum += each & 0xff;
                        }
                        return sum * (index + 1);
                    } finally {
                        turns.release();
                    }
                }));
            }
            long answer = 0;
            for (var task : tasks) {
                answer += task.get();
            }
            return new Lab.Outcome(pages, answer, null, OptionalLong.of(most.get()), OptionalLong.empty());
        }
    }

    /** A new connection per page, as in the workload. java.net.http would pool them. */
    private static byte[] getOnce(String url) throws IOException {
        var connection = (HttpURLConnection) URI.create(url).toURL().openConnection();
        connection.setRequestProperty("Connection", "close");
        try (var body = connection.getInputStream()) {
            return body.readAllBytes();
        } finally {
            connection.disconnect();
        }
    }

    private record Job(String url, Path path) {}

    private static final Job END = new Job("", Path.of(""));

    private static String urlOf(String site, long index) {
        return switch ((int) (index % 100)) {
            case 13 -> "http:/" + index;
            case 57 -> "http://127.0.0.1:1/" + index;
            case 83 -> "http://" + site + "/missing/" + index;
            default -> "http://" + site + "/" + index;
        };
    }

    static Lab.Outcome download(long size, long timeoutMs, String site, String folder, HttpClient client)
            throws Exception {
        final int workers = 10;
        BlockingQueue<Job> queue = new ArrayBlockingQueue<>(1000);
        var saved = new AtomicLong();
        var bad = new AtomicLong();
        var there = new AtomicLong();
        try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
            threads.submit(() -> {
                for (long index = 0; index < size; index++) {
                    var path = Path.of(folder, Long.toString(index));
                    if (Files.exists(path)) {
                        there.incrementAndGet();
                    } else {
                        queue.put(new Job(urlOf(site, index), path));
                    }
                }
                for (int i = 0; i < workers; i++) {
                    queue.put(END);
                }
                return null;
            });
            for (int i = 0; i < workers; i++) {
                threads.submit(() -> {
                    for (var job = queue.take(); job != END; job = queue.take()) {
                        try {
                            var request = HttpRequest.newBuilder(URI.create(job.url))
                                .timeout(Duration.ofMillis(timeoutMs)).build();
                            var response = client.send(request, HttpResponse.BodyHandlers.ofByteArray());
                            if (response.statusCode() != 200) {
                                throw new IOException(job.url + ": " + response.statusCode());
                            }
                            var beside = Path.of(job.path + ".partial");
                            Files.write(beside, response.body());
                            Files.move(beside, job.path, StandardCopyOption.ATOMIC_MOVE);
                            saved.incrementAndGet();
                        } catch (IOException | IllegalArgumentException reported) {
                            bad.incrementAndGet();
                        }
                    }
                    return null;
                });
            }
        }
        long ops = saved.get() + bad.get() + there.get();
        return new Lab.Outcome(ops, saved.get(), null, OptionalLong.empty(), OptionalLong.of(bad.get()));
    }

    private Network() {}
}
