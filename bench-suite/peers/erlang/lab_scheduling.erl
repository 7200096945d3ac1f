%% Pure scheduling, recursion, locks and queues.
%%
%% Erlang's processes share nothing, so there are no locks, queues or channels other than processes. A bounded queue is
%% a process that answers put and get. A lock is one that answers acquire, as with gen_server. A process sends its
%% result.
-module(lab_scheduling).
-export([spawn_all/1, spawn_batch/1, yield/2, pingpong/1, skynet/1, fib/2, forks/1, mpmc/1, mutex/3, timers/3, idle/2]).
-export([queue_new/1, queue_put/2, queue_get/1, queue_close/1, call/2]).

-define(BATCH, 100).

spawn_and_join(Begin, End) ->
    Parent = self(),
    Processes = [spawn_link(fun() -> Parent ! {self(), Number} end) || Number <- lists:seq(Begin, End - 1)],
    collect(Processes).

%% The results in the order of the processes.
collect(Processes) ->
    lists:foldl(fun(Process, Sum) -> receive {Process, Result} -> Sum + Result end end, 0, Processes).

spawn_all(Size) ->
    {Size, in_own_process(fun() -> spawn_and_join(0, Size) end)}.

spawn_batch(Size) ->
    {Size, in_own_process(fun() -> batches(0, Size, 0) end)}.

batches(Begin, Size, Sum) when Begin >= Size -> Sum;
batches(Begin, Size, Sum) ->
    End = min(Size, Begin + ?BATCH),
    batches(End, Size, Sum + spawn_and_join(Begin, End)).

%% In a separate process, whose mailbox and heap are empty.
in_own_process(Work) ->
    Parent = self(),
    Process = spawn_link(fun() -> Parent ! {self(), Work()} end),
    receive {Process, Result} -> Result end.

yield(Tasks, Yields) ->
    Done = in_own_process(fun() ->
        Parent = self(),
        collect([spawn_link(fun() -> Parent ! {self(), yield_times(Yields, 0)} end) || _ <- lists:seq(1, Tasks)])
    end),
    {Done, Done}.

yield_times(0, Done) -> Done;
yield_times(Left, Done) ->
    erlang:yield(),
    yield_times(Left - 1, Done + 1).

pingpong(RoundTrips) ->
    Sum = in_own_process(fun() ->
        Pong = spawn_link(fun pong/0),
        Total = ping(Pong, 0, RoundTrips, 0),
        Pong ! stop,
        Total
    end),
    {RoundTrips, Sum}.

ping(_Pong, Number, RoundTrips, Sum) when Number =:= RoundTrips -> Sum;
ping(Pong, Number, RoundTrips, Sum) ->
    Pong ! {self(), Number},
    receive
        {Pong, Answer} when Answer =:= Number + 1 -> ping(Pong, Answer, RoundTrips, Sum + Answer)
    end.

pong() ->
    receive
        {Ping, Number} ->
            Ping ! {self(), Number + 1},
            pong();
        stop -> ok
    end.

skynet(Levels) ->
    Leaves = power(10, Levels),
    Nodes = lists:sum([power(10, Level) || Level <- lists:seq(0, Levels)]),
    {Nodes, in_own_process(fun() -> node_of(0, Leaves) end)}.

node_of(First, 1) -> First;
node_of(First, Leaves) ->
    Below = Leaves div 10,
    Parent = self(),
    Child = fun(Number) ->
        spawn_link(fun() -> Parent ! {self(), node_of(First + Number * Below, Below)} end)
    end,
    collect([Child(Number) || Number <- lists:seq(0, 9)]).

power(_Base, 0) -> 1;
power(Base, Exponent) -> Base * power(Base, Exponent - 1).

fib(N, Forks) ->
    {Forks, in_own_process(fun() -> fib_tasks(N) end)}.

fib_tasks(N) when N < 2 -> N;
fib_tasks(N) ->
    Parent = self(),
    Child = spawn_link(fun() -> Parent ! {self(), fib_tasks(N - 1)} end),
    Here = fib_tasks(N - 2),
    receive {Child, There} -> Here + There end.

forks(N) when N < 2 -> 0;
forks(N) -> 1 + forks(N - 1) + forks(N - 2).

%% A bounded queue.
queue_new(Capacity) ->
    spawn_link(fun() -> queue(queue:new(), 0, Capacity, queue:new(), queue:new(), open) end).

queue_put(Queue, Item) -> call(Queue, {put, Item}).
queue_get(Queue) -> call(Queue, get).
queue_close(Queue) -> call(Queue, close).

%% Like gen:call, but without an alias or a monitor, which are for servers that may die.
call(Server, Request) ->
    Reference = make_ref(),
    Server ! {self(), Reference, Request},
    receive {Reference, Reply} -> Reply end.

queue(Items, Length, Capacity, Getters, Putters, State) ->
    receive
        {From, Reference, get} when Length > 0 ->
            {{value, Item}, Rest} = queue:out(Items),
            From ! {Reference, {item, Item}},
            case queue:out(Putters) of
                {{value, {Putter, PutReference, Next}}, Others} ->
                    Putter ! {PutReference, ok},
                    queue(queue:in(Next, Rest), Length, Capacity, Getters, Others, State);
                {empty, _} ->
                    queue(Rest, Length - 1, Capacity, Getters, Putters, State)
            end;
        {From, Reference, get} when State =:= closed ->
            From ! {Reference, closed},
            queue(Items, Length, Capacity, Getters, Putters, State);
        {From, Reference, get} ->
            queue(Items, Length, Capacity, queue:in({From, Reference}, Getters), Putters, State);
        {From, Reference, {put, Item}} ->
            case queue:out(Getters) of
                {{value, {Getter, GetReference}}, Others} ->
                    Getter ! {GetReference, {item, Item}},
                    From ! {Reference, ok},
                    queue(Items, Length, Capacity, Others, Putters, State);
                {empty, _} when Length < Capacity ->
                    From ! {Reference, ok},
                    queue(queue:in(Item, Items), Length + 1, Capacity, Getters, Putters, State);
                {empty, _} ->
                    queue(Items, Length, Capacity, Getters, queue:in({From, Reference, Item}, Putters), State)
            end;
        {From, Reference, close} ->
            [Getter ! {GetReference, closed} || {Getter, GetReference} <- queue:to_list(Getters)],
            From ! {Reference, ok},
            queue(Items, Length, Capacity, queue:new(), Putters, closed);
        {From, Reference, stop} ->
            From ! {Reference, ok}
    end.

mpmc(P) ->
    Each = lab:number(<<"size">>, P),
    Producers = lab:number(<<"producers">>, P),
    Consumers = lab:number(<<"consumers">>, P),
    Queue = queue_new(lab:number(<<"capacity">>, P)),
    Outcome = in_own_process(fun() ->
        case lab:number(<<"alone">>, P) of
            1 -> {Each, alone(Queue, 0, Each, 0)};
            0 -> pass(Queue, Each, Producers, Consumers)
        end
    end),
    ok = call(Queue, stop),
    Outcome.

alone(_Queue, Number, Each, Sum) when Number =:= Each -> Sum;
alone(Queue, Number, Each, Sum) ->
    ok = queue_put(Queue, Number),
    {item, Got} = queue_get(Queue),
    alone(Queue, Number + 1, Each, Sum + Got).

pass(Queue, Each, Producers, Consumers) ->
    Parent = self(),
    Consuming = [spawn_link(fun() -> Parent ! {self(), consume(Queue, #{}, 0, 0)} end) || _ <- lists:seq(1, Consumers)],
    Producing = [
        spawn_link(fun() ->
            [ok = queue_put(Queue, {Producer, Number}) || Number <- lists:seq(0, Each - 1)],
            Parent ! {self(), 0}
        end)
     || Producer <- lists:seq(1, Producers)
    ],
    collect(Producing),
    ok = queue_close(Queue),
    Counts = [receive {Consumer, Counted} -> Counted end || Consumer <- Consuming],
    {lists:sum([Count || {Count, _} <- Counts]), lists:sum([Sum || {_, Sum} <- Counts])}.

consume(Queue, Next, Count, Sum) ->
    case queue_get(Queue) of
        {item, {Producer, Number}} ->
            %% Fails if a producer's items arrive out of order.
            true = Number >= maps:get(Producer, Next, 0),
            consume(Queue, Next#{Producer => Number + 1}, Count + 1, Sum + Number);
        closed ->
            {Count, Sum}
    end.

%% The lock contains the number that it protects, because nothing else can be shared.
mutex(Each, Tasks, Held) ->
    Counter = in_own_process(fun() ->
        Lock = spawn_link(fun() -> unlocked(0) end),
        Parent = self(),
        Work = fun() ->
            work(Lock, Each, Held),
            Parent ! {self(), 0}
        end,
        collect([spawn_link(Work) || _ <- lists:seq(1, Tasks)]),
        call(Lock, stop)
    end),
    {Each * Tasks, Counter}.

work(_Lock, 0, _Held) -> ok;
work(Lock, Left, Held) ->
    Counter = call(Lock, lock),
    yield_times(Held, 0),
    Lock ! {unlock, self(), Counter + 1},
    work(Lock, Left - 1, Held).

%% The mailbox is the queue of waiters.
unlocked(Counter) ->
    receive
        {From, Reference, lock} ->
            From ! {Reference, Counter},
            receive {unlock, From, Next} -> unlocked(Next) end;
        {From, Reference, stop} ->
            From ! {Reference, Counter}
    end.

%% `receive after` counts whole milliseconds. Round up, so that sleeps are late and not early.
timers(Size, SpanMs, Seed) ->
    Late = in_own_process(fun() ->
        rand:seed(exsss, Seed),
        Parent = self(),
        Sleeper = fun(Deadline) ->
            Left = Deadline - erlang:monotonic_time(nanosecond),
            timer:sleep(max(0, (Left + 999999) div 1000000)),
            Parent ! {self(), erlang:monotonic_time(nanosecond) - Deadline}
        end,
        Sleepers = [
            begin
                Deadline = erlang:monotonic_time(nanosecond) + rand:uniform(SpanMs * 1000000 + 1) - 1,
                spawn_link(fun() -> Sleeper(Deadline) end)
            end
         || _ <- lists:seq(1, Size)
        ],
        [receive {Process, Each} -> Each end || Process <- Sleepers]
    end),
    {Size, Size, #{late => Late}}.

%% Processes that wait for something that never happens, for a given time.
idle(Size, Time) ->
    Parent = self(),
    Wait = fun() ->
        Parent ! begun,
        receive never -> ok after Time -> ok end
    end,
    [spawn_link(Wait) || _ <- lists:seq(1, Size)],
    [receive begun -> ok end || _ <- lists:seq(1, Size)],
    {Size, Size}.
