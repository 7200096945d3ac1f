import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.OptionalLong;
import java.util.regex.Pattern;

/**
 * The conversation with the lab: lab.child/1 in lines of JSON over standard input and output. While this process waits
 * here for the next order, the lab reads what it has used. The JDK has no JSON parser, but the lab's lines are flat
 * enough for a pattern.
 */
final class Lab {
    private static final BufferedReader INPUT =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    private static final PrintStream OUTPUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    private static final Pattern NUMBER = Pattern.compile("\"(\\w+)\":(\\d+)");
    private static final Pattern TEXT = Pattern.compile("\"(\\w+)\":\"((?:[^\"\\\\]|\\\\.)*)\"");

    /** A line from the lab: its numbers and strings by name, at any depth. */
    record Line(Map<String, Long> numbers, Map<String, String> texts) {
        static Line parse(String json) {
            var numbers = new HashMap<String, Long>();
            var texts = new HashMap<String, String>();
            var texted = TEXT.matcher(json);
            while (texted.find()) {
                texts.put(texted.group(1), texted.group(2).replace("\\\"", "\"").replace("\\\\", "\\"));
            }
            var numbered = NUMBER.matcher(json);
            while (numbered.find()) {
                numbers.put(numbered.group(1), Long.parseUnsignedLong(numbered.group(2)));
            }
            return new Line(numbers, texts);
        }

        long number(String name) {
            var value = numbers.get(name);
            if (value == null) {
                throw new IllegalArgumentException("no `" + name + "` was given");
            }
            return value;
        }

        int count(String name) {
            return Math.toIntExact(number(name));
        }

        String text(String name) {
            return texts.getOrDefault(name, "");
        }
    }

    /** The result of doing the work once, with the lateness in nanoseconds if sleeps are measured. */
    record Outcome(long ops, long answer, long[] lateNs, OptionalLong mostAtOnce, OptionalLong bad) {
        Outcome(long ops, long answer) {
            this(ops, answer, null, OptionalLong.empty(), OptionalLong.empty());
        }
    }

    interface Work {
        Outcome run(Line order) throws Exception;
    }

    /** The next line, or null if the lab says stop or is gone. */
    static Line nextOrder() throws IOException {
        var json = INPUT.readLine();
        if (json == null) {
            return null;
        }
        var line = Line.parse(json);
        return line.text("type").equals("stop") ? null : line;
    }

    static synchronized void say(String json) {
        OUTPUT.println(json);
    }

    static void fail(String status, Object error) {
        var text = String.valueOf(error).replaceAll("[\\p{Cntrl}\"\\\\]", " ");
        say("{\"type\":\"failure\",\"status\":\"" + status + "\",\"error\":\"" + text + "\"}");
        System.exit(0);
    }

    /** Executes orders: does the work as many times as each says. */
    static void serveOrders(int workers, Work work) throws Exception {
        say("{\"type\":\"ready\",\"workers\":" + workers + "}");
        for (var order = nextOrder(); order != null; order = nextOrder()) {
            long ops = 0;
            long answer = 0;
            Outcome last = null;
            long begun = System.nanoTime();
            for (long i = order.number("repetitions"); i > 0; i--) {
                last = work.run(order);
                ops += last.ops;
                answer += last.answer;
            }
            long wall = System.nanoTime() - begun;
            var done = new StringBuilder("{\"type\":\"done\",\"ops\":" + ops + ",\"wall_ns\":" + wall);
            last.mostAtOnce.ifPresent(most -> done.append(",\"most_at_once\":").append(most));
            last.bad.ifPresent(bad -> done.append(",\"bad\":").append(bad));
            say(done + ",\"answer\":" + answer + "}");
            if (last.lateNs != null) {
                // In a separate line, so that formatting it is not part of the work.
                var late = new StringBuilder("{\"type\":\"late\",\"late_ns\":[");
                for (int i = 0; i < last.lateNs.length; i++) {
                    late.append(i == 0 ? "" : ",").append(last.lateNs[i]);
                }
                say(late + "]}");
            }
        }
    }

    private Lab() {}
}
