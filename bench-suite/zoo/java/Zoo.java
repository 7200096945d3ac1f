import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The zoo under Java's virtual threads. The arguments are the pathology, its size and the workers; the output is lines
 * of JSON. src/zoo/pathologies describes the programs, and src/zoo/client.rs describes the server's answers.
 */
final class Zoo {
    interface Program {
        double run(int size, int workers) throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        var size = Integer.parseInt(arguments[1]);
        var workers = Integer.parseInt(arguments[2]);
        Program program = switch (arguments[0]) {
            case "idle-wakeups" -> Programs::idleWakeups;
            case "lifo-chain" -> Programs::lifoChain;
            case "lifo-hostage" -> Programs::lifoHostage;
            case "priority-inversion" -> Programs::priorityInversion;
            case "mutex-convoy" -> Programs::mutexConvoy;
            case "outside-spawns" -> Programs::outsideSpawns;
            case "panic-storm" -> Programs::panicStorm;
            case "await-chain" -> Programs::awaitChain;
            case "cancelled-timers" -> Programs::cancelledTimers;
            case "queue-bound" -> Programs::queueBound;
            default -> null;
        };
        if (program == null) {
            Server.serve();
            return;
        }
        var value = new double[1];
        var failed = new Throwable[1];
        // The program itself runs in a task.
        Thread.startVirtualThread(() -> {
            try {
                value[0] = program.run(size, workers);
            } catch (Throwable thrown) {
                failed[0] = thrown;
            }
        }).join();
        if (failed[0] == null) {
            say("{\"value\": " + value[0] + "}");
        } else {
            say("{\"failed\": \"" + failed[0].toString().replaceAll("[\"\\\\\\p{Cntrl}]", " ") + "\"}");
        }
        System.exit(0);
    }

    static void say(String json) {
        System.out.println(json);
        System.out.flush();
    }

    /** Occupies the thread for this time, without a call that could let another one run. */
    static void compute(long nanoseconds) {
        for (var begun = System.nanoTime(); System.nanoTime() - begun < nanoseconds; ) {}
    }

    /** CPU time of the process in nanoseconds. */
    static long cpu() {
        var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        return system.getProcessCpuTime();
    }

    /** Voluntary context switches of the existing threads. */
    static long switches() throws IOException {
        long all = 0;
        try (DirectoryStream<Path> tasks = Files.newDirectoryStream(Path.of("/proc/self/task"))) {
            for (var task : tasks) {
                for (var line : Files.readAllLines(task.resolve("status"))) {
                    if (line.startsWith("voluntary_ctxt_switches:")) {
                        all += Long.parseLong(line.substring(line.indexOf(':') + 1).strip());
                    }
                }
            }
        }
        return all;
    }

    /** Memory in use after a collection. Resident memory would depend on the collector's settings. */
    static long used() {
        System.gc();
        var runtime = Runtime.getRuntime();
        return runtime.totalMemory() - runtime.freeMemory();
    }
}
