import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.ValueLayout;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicLong;

/** Blocking sockets on virtual threads. */
final class Server {
    private static final long HELD_SECONDS = 2;
    private static final int CHUNK = 64 * 1024;
    private static final int CHUNKS = 4096;

    /** The KiB that the writes of `s` have accepted. */
    private static final AtomicLong STREAMED = new AtomicLong();

    static void serve() throws Exception {
        var listener = new ServerSocket(0, 1024, InetAddress.getLoopbackAddress());
        var accepts = Thread.startVirtualThread(() -> accept(listener));
        Zoo.say("{\"listening\": " + listener.getLocalPort() + "}");
        accepts.join();
    }

    private static void accept(ServerSocket listener) {
        while (true) {
            try {
                var connection = listener.accept();
                Thread.startVirtualThread(() -> answer(listener, connection));
            } catch (IOException error) {
                // No descriptor is left. There may be one later.
                pause();
            }
        }
    }

    private static void pause() {
        try {
            Thread.sleep(10);
        } catch (InterruptedException interrupted) {
            throw new AssertionError(interrupted);
        }
    }

    private static void answer(ServerSocket listener, Socket connection) {
        try (connection) {
            converse(listener, connection);
        } catch (Exception gone) {
            // A client that is gone needs no answer.
        }
    }

    private static void converse(ServerSocket listener, Socket connection) throws Exception {
        connection.setTcpNoDelay(true);
        var in = connection.getInputStream();
        var out = connection.getOutputStream();
        for (int asked = in.read(); asked >= 0; asked = in.read()) {
            if (asked == 's') {
                var chunk = new byte[CHUNK];
                for (int i = 0; i < CHUNKS; i++) {
                    out.write(chunk);
                    STREAMED.addAndGet(CHUNK / 1024);
                }
                continue;
            }
            if (asked == 'c') {
                out.write((STREAMED.get() + "\n").getBytes(StandardCharsets.US_ASCII));
                continue;
            }
            out.write(asked);
            switch (asked) {
                case 'h' -> {
                    Zoo.compute(HELD_SECONDS * 1_000_000_000L);
                    out.write('d');
                }
                case 'b' -> {
                    block();
                    out.write('d');
                }
                case 'y' -> Thread.startVirtualThread(() -> {
                    while (true) {
                        Thread.yield();
                    }
                });
                case 'a' -> {
                    for (int i = 0; i < 1000; i++) {
                        Thread.startVirtualThread(() -> accept(listener));
                    }
                }
                default -> {}
            }
        }
    }

    /** A system call. Thread.sleep would release the carrier. */
    private static void block() throws Exception {
        try (var arena = Arena.ofConfined()) {
            var linker = Linker.nativeLinker();
            var address = linker.defaultLookup().find("nanosleep").orElseThrow();
            var nanosleep = linker.downcallHandle(
                address,
                FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.ADDRESS));
            var left = arena.allocate(ValueLayout.JAVA_LONG, 2);
            left.setAtIndex(ValueLayout.JAVA_LONG, 0, HELD_SECONDS);
            int interrupted;
            do {
                try {
                    interrupted = (int) nanosleep.invokeExact(left, left);
                } catch (Throwable thrown) {
                    throw new AssertionError(thrown);
                }
            } while (interrupted != 0);
        }
    }
}
