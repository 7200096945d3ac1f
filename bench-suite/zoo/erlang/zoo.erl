%% The zoo under Erlang. The arguments are the pathology, its size and the workers; the output is lines of JSON.
%% src/zoo/pathologies describes the programs, and src/zoo/client.rs describes the server's answers.
-module(zoo).
-export([main/0]).

-define(HELD, 2000).

main() ->
    %% Log output would appear between the lines of JSON.
    logger:set_primary_config(level, none),
    [Name, Size, Workers] = init:get_plain_arguments(),
    case program(Name, list_to_integer(Size), list_to_integer(Workers)) of
        {value, Value} -> io:format("{\"value\": ~w}~n", [Value]);
        never -> receive after infinity -> ok end
    end,
    halt(0, [{flush, true}]).

%% Occupies the process for this many milliseconds, without waiting.
compute(Milliseconds) ->
    compute_until(erlang:monotonic_time(millisecond) + Milliseconds).

compute_until(End) ->
    case erlang:monotonic_time(millisecond) < End of
        true -> compute_until(End);
        false -> ok
    end.

resident() ->
    {ok, Status} = file:read_file("/proc/self/status"),
    {match, [Kibibytes]} = re:run(Status, "VmRSS:\\s+(\\d+)", [{capture, all_but_first, list}]),
    list_to_integer(Kibibytes) * 1024.

program("idle-wakeups", Size, _) ->
    timer:sleep(100),
    {Before, _} = statistics(runtime),
    idle(Size),
    {After, _} = statistics(runtime),
    {value, (After - Before) * 1000 / Size};
program("lifo-chain", _, Workers) ->
    Self = self(),
    [spawn(fun() -> Self ! {passes, rally()} end) || _ <- lists:seq(1, Workers)],
    {value, lists:max([receive {passes, Passes} -> Passes end || _ <- lists:seq(1, Workers)])};
program("lifo-hostage", Size, _) ->
    {value, length([free || _ <- lists:seq(1, Size), hostage()])};
program("panic-storm", Size, _) ->
    Fail = fun() -> exit(on_purpose) end,
    Reported = [reported || _ <- lists:seq(1, Size), ends_with(on_purpose, spawn_monitor(Fail))],
    {value, length(Reported)};
program("await-chain", Size, _) ->
    Self = self(),
    Last = lists:foldl(fun(_, Next) -> spawn(fun() -> link_of(Next) end) end, Self, lists:seq(1, Size)),
    Last ! {links, 0},
    {value, receive {links, Links} -> Links end};
program("cancelled-timers", Size, _) ->
    set_and_cancel(10000),
    Before = resident(),
    set_and_cancel(Size),
    {value, max(resident() - Before, 0) / Size};
program("queue-bound", Size, _) ->
    %% A mailbox without a reader.
    Consumer = spawn(fun() -> receive never -> ok end end),
    spawn(fun() -> [Consumer ! Number || Number <- lists:seq(1, Size)] end),
    {value, settled(Consumer, 0)};
program(_, _, _) ->
    serve().

idle(0) ->
    ok;
idle(Left) ->
    receive after 1 -> idle(Left - 1) end.

rally() ->
    Self = self(),
    Other = spawn(fun() -> pass_back() end),
    Neighbour = spawn(fun() -> Self ! over end),
    Passes = pass(Other, 0, erlang:monotonic_time(millisecond) + 3000),
    exit(Other, kill),
    exit(Neighbour, kill),
    Passes.

pass_back() ->
    receive {ball, From} -> From ! back end,
    pass_back().

pass(Other, Passes, End) ->
    receive
        over -> Passes
    after 0 ->
        Other ! {ball, self()},
        receive back -> ok end,
        case erlang:monotonic_time(millisecond) < End of
            true -> pass(Other, Passes + 2, End);
            false -> receive over -> Passes end
        end
    end.

hostage() ->
    Ran = counters:new(1, [atomics]),
    Waiting = spawn(fun() -> receive called -> counters:add(Ran, 1, 1) end end),
    timer:sleep(1),
    Self = self(),
    spawn(fun() ->
        Waiting ! called,
        wait_for(Ran, erlang:monotonic_time(millisecond) + 500),
        Self ! {ran, counters:get(Ran, 1) > 0}
    end),
    receive {ran, Free} -> Free end.

wait_for(Ran, End) ->
    case counters:get(Ran, 1) > 0 orelse erlang:monotonic_time(millisecond) >= End of
        true -> ok;
        false -> wait_for(Ran, End)
    end.

ends_with(Reason, {Process, Monitor}) ->
    receive {'DOWN', Monitor, process, Process, Why} -> Why =:= Reason end.

link_of(Next) ->
    receive {links, Links} -> Next ! {links, Links + 1} end.

set_and_cancel(0) ->
    erlang:garbage_collect();
set_and_cancel(Count) ->
    erlang:cancel_timer(erlang:send_after(3600000, self(), due)),
    set_and_cancel(Count - 1).

settled(Consumer, Before) ->
    timer:sleep(100),
    case erlang:process_info(Consumer, message_queue_len) of
        {message_queue_len, Before} when Before > 0 -> Before;
        {message_queue_len, Now} -> settled(Consumer, Now)
    end.

serve() ->
    Options = [binary, {active, false}, {nodelay, true}, {backlog, 1024}, {ip, {127, 0, 0, 1}}],
    {ok, Listener} = gen_tcp:listen(0, Options),
    {ok, Port} = inet:port(Listener),
    Streamed = counters:new(1, [atomics]),
    io:format("{\"listening\": ~w}~n", [Port]),
    spawn(fun() -> accept(Listener, Streamed) end),
    never.

accept(Listener, Streamed) ->
    case gen_tcp:accept(Listener) of
        {ok, Socket} ->
            Process = spawn(fun() -> receive start -> answer(Listener, Socket, Streamed) end end),
            gen_tcp:controlling_process(Socket, Process),
            Process ! start;
        {error, _} ->
            %% No descriptor is left. There may be one later. Not timer:sleep, because its module file would have to be
            %% opened now.
            receive after 10 -> ok end
    end,
    accept(Listener, Streamed).

answer(Listener, Socket, Streamed) ->
    case gen_tcp:recv(Socket, 1) of
        {ok, <<"s">>} ->
            stream(Socket, Streamed, 4096),
            answer(Listener, Socket, Streamed);
        {ok, <<"c">>} ->
            gen_tcp:send(Socket, [integer_to_binary(counters:get(Streamed, 1)), "\n"]),
            answer(Listener, Socket, Streamed);
        {ok, Byte} ->
            gen_tcp:send(Socket, Byte),
            then(Byte, Listener, Socket, Streamed),
            answer(Listener, Socket, Streamed);
        {error, _} ->
            gen_tcp:close(Socket)
    end.

then(<<"h">>, _, Socket, _) ->
    compute(?HELD),
    gen_tcp:send(Socket, "d");
then(<<"y">>, _, _, _) ->
    spawn(fun always_ready/0);
then(<<"a">>, Listener, _, Streamed) ->
    [spawn(fun() -> accept(Listener, Streamed) end) || _ <- lists:seq(1, 1000)];
then(_, _, _, _) ->
    ok.

always_ready() ->
    erlang:yield(),
    always_ready().

stream(_, _, 0) ->
    ok;
stream(Socket, Streamed, Left) ->
    case gen_tcp:send(Socket, binary:copy(<<0>>, 65536)) of
        ok ->
            counters:add(Streamed, 1, 64),
            stream(Socket, Streamed, Left - 1);
        {error, _} ->
            ok
    end.
