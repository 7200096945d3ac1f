%% Servers and clients: a process per connection, gen_tcp, and the HTTP parser of its sockets.
-module(lab_network).
-export([serve/4, crawl/3, download/4]).

-define(BODY, <<"Hello, world!\n">>).
-define(WORKERS, 10).

serve(Port, Workload, P, Workers) ->
    Packet = case Workload of
        <<"http">> -> http_bin;
        _ -> raw
    end,
    Options = [binary, {packet, Packet}, {active, false}, {nodelay, true}, {backlog, 16384}, {ip, {127, 0, 0, 1}}],
    {ok, Listener} = gen_tcp:listen(0, Options),
    {ok, Number} = inet:port(Listener),
    [spawn(fun cpu_bound_task/0) || _ <- lists:seq(1, lab:number(<<"hogs">>, P, 0))],
    spawn_link(fun() -> accept(Listener, Packet) end),
    lab:say(Port, io_lib:format(
        "{\"type\":\"listening\",\"address\":\"127.0.0.1:~b\",\"workers\":~b}", [Number, Workers])),
    stop = lab:next_order(Port),
    ok.

accept(Listener, Packet) ->
    {ok, Socket} = gen_tcp:accept(Listener),
    Connection = spawn(fun() ->
        receive go -> ok end,
        case Packet of
            raw -> echo(Socket);
            http_bin -> answer(Socket)
        end
    end),
    ok = gen_tcp:controlling_process(Socket, Connection),
    Connection ! go,
    accept(Listener, Packet).

echo(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, Data} ->
            _ = gen_tcp:send(Socket, Data),
            echo(Socket);
        {error, _} ->
            gen_tcp:close(Socket)
    end.

answer(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, http_eoh} ->
            Length = integer_to_binary(byte_size(?BODY)),
            _ = gen_tcp:send(Socket, [
                <<"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ">>,
                Length, <<"\r\n\r\n">>, ?BODY
            ]),
            answer(Socket);
        {ok, _} ->
            answer(Socket);
        {error, _} ->
            gen_tcp:close(Socket)
    end.

%% Repeatedly computes for 100 ms and sleeps for 10 ms. It is preempted anyway: after 4000 reductions, another process
%% runs.
cpu_bound_task() ->
    compute(erlang:monotonic_time(millisecond) + 100, 0),
    timer:sleep(10),
    cpu_bound_task().

compute(Until, State) ->
    case erlang:monotonic_time(millisecond) < Until of
        true -> compute(Until, mix(1000, State));
        false -> State
    end.

mix(0, State) -> State;
mix(Left, State) -> mix(Left - 1, (State * 16#4C957F2D + 1) band 16#FFFFFFF).

%% Fetches a path on a connection. The socket must have {packet, http_bin}.
get(Socket, Host, Path, Deadline) ->
    ok = inet:setopts(Socket, [{packet, http_bin}]),
    case gen_tcp:send(Socket, [<<"GET ">>, Path, <<" HTTP/1.1\r\nHost: ">>, Host, <<"\r\n\r\n">>]) of
        ok -> head(Socket, none, 0, Deadline);
        Error -> Error
    end.

head(Socket, Status, Length, Deadline) ->
    case gen_tcp:recv(Socket, 0, left(Deadline)) of
        {ok, {http_response, _, Code, _}} ->
            head(Socket, Code, Length, Deadline);
        {ok, {http_header, _, 'Content-Length', _, Value}} ->
            head(Socket, Status, binary_to_integer(Value), Deadline);
        {ok, {http_header, _, _, _, _}} ->
            head(Socket, Status, Length, Deadline);
        {ok, http_eoh} when Length =:= 0 ->
            {ok, Status, <<>>};
        {ok, http_eoh} ->
            ok = inet:setopts(Socket, [{packet, raw}]),
            case gen_tcp:recv(Socket, Length, left(Deadline)) of
                {ok, Body} -> {ok, Status, Body};
                Error -> Error
            end;
        {ok, Other} -> {error, Other};
        Error -> Error
    end.

left(infinity) -> infinity;
left(Deadline) -> max(0, Deadline - erlang:monotonic_time(millisecond)).

connect(Host, Number, Deadline) ->
    {ok, Address} = inet:parse_address(binary_to_list(Host)),
    gen_tcp:connect(Address, Number, [binary, {packet, http_bin}, {active, false}, {nodelay, true}], left(Deadline)).

crawl(Pages, AtOnce, Site) ->
    [Host, Number] = binary:split(Site, <<":">>),
    Parent = self(),
    Runner = spawn_link(fun() ->
        %% A process is the semaphore, and gives the turn to the longest waiter.
        Turns = spawn_link(fun() -> turns(AtOnce) end),
        Root = self(),
        Processes = [
            spawn_link(fun() -> Root ! {self(), page(Turns, Host, binary_to_integer(Number), Site, Page)} end)
         || Page <- lists:seq(0, Pages - 1)
        ],
        Sum = lists:sum([receive {Process, Checksum} -> Checksum end || Process <- Processes]),
        Most = lab_scheduling:call(Turns, most),
        Parent ! {self(), {Pages, Sum, #{most_at_once => Most}}}
    end),
    receive {Runner, Outcome} -> Outcome end.

page(Turns, Host, Number, Site, Page) ->
    ok = lab_scheduling:call(Turns, take),
    {ok, Socket} = connect(Host, Number, infinity),
    {ok, 200, Body} = get(Socket, Site, [$/, integer_to_binary(Page)], infinity),
    gen_tcp:close(Socket),
    Turns ! give,
    lists:sum(binary_to_list(Body)) * (Page + 1).

turns(AtOnce) -> turns(AtOnce, AtOnce, 0).

turns(Left, AtOnce, Most) ->
    receive
        {From, Reference, take} when Left > 0 ->
            From ! {Reference, ok},
            turns(Left - 1, AtOnce, max(Most, AtOnce - Left + 1));
        give ->
            turns(Left + 1, AtOnce, Most);
        {From, Reference, most} ->
            From ! {Reference, Most}
    end.

url_of(Site, Index) ->
    Number = integer_to_binary(Index),
    case Index rem 100 of
        13 -> <<"http:/", Number/binary>>;
        57 -> <<"http://127.0.0.1:1/", Number/binary>>;
        83 -> <<"http://", Site/binary, "/missing/", Number/binary>>;
        _ -> <<"http://", Site/binary, "/", Number/binary>>
    end.

download(Size, TimeoutMs, Site, Folder) ->
    Parent = self(),
    Runner = spawn_link(fun() ->
        Root = self(),
        Queue = lab_scheduling:queue_new(1000),
        Workers = [
            spawn_link(fun() -> Root ! {self(), work(Queue, TimeoutMs, none, 0, 0)} end) || _ <- lists:seq(1, ?WORKERS)
        ],
        There = produce(Queue, 0, Size, Site, Folder, 0),
        ok = lab_scheduling:queue_close(Queue),
        Done = [receive {Worker, Counts} -> Counts end || Worker <- Workers],
        ok = lab_scheduling:call(Queue, stop),
        Saved = lists:sum([Saved || {Saved, _} <- Done]),
        Bad = lists:sum([Bad || {_, Bad} <- Done]),
        Parent ! {self(), {Saved + Bad + There, Saved, #{bad => Bad}}}
    end),
    receive {Runner, Outcome} -> Outcome end.

produce(_Queue, Index, Size, _Site, _Folder, There) when Index =:= Size -> There;
produce(Queue, Index, Size, Site, Folder, There) ->
    Path = filename:join(Folder, integer_to_binary(Index)),
    case file:read_file_info(Path, [raw]) of
        {ok, _} ->
            produce(Queue, Index + 1, Size, Site, Folder, There + 1);
        {error, enoent} ->
            ok = lab_scheduling:queue_put(Queue, {url_of(Site, Index), Path}),
            produce(Queue, Index + 1, Size, Site, Folder, There)
    end.

work(Queue, TimeoutMs, Connection, Saved, Bad) ->
    case lab_scheduling:queue_get(Queue) of
        closed ->
            close(Connection),
            {Saved, Bad};
        {item, {Url, Path}} ->
            case fetch(Url, Connection, erlang:monotonic_time(millisecond) + TimeoutMs) of
                {ok, 200, Body, Open} ->
                    ok = save(Path, Body),
                    work(Queue, TimeoutMs, Open, Saved + 1, Bad);
                {ok, _, _, Open} ->
                    close(Open),
                    work(Queue, TimeoutMs, none, Saved, Bad + 1);
                {error, _} ->
                    close(Connection),
                    work(Queue, TimeoutMs, none, Saved, Bad + 1)
            end
    end.

%% Uses the open connection if it leads there. The deadline limits each of its waits.
fetch(Url, Connection, Deadline) ->
    case re:run(Url, <<"^http://([^/:]+):(\\d+)(/.*)$">>, [{capture, all_but_first, binary}]) of
        {match, [Host, Number, Path]} ->
            case open(Connection, {Host, binary_to_integer(Number)}, Deadline) of
                {ok, Open = {_, Socket}} ->
                    case get(Socket, <<Host/binary, $:, Number/binary>>, Path, Deadline) of
                        {ok, Status, Body} -> {ok, Status, Body, Open};
                        Error ->
                            gen_tcp:close(Socket),
                            Error
                    end;
                Error -> Error
            end;
        nomatch -> {error, no_host}
    end.

open(Connection = {Place, _}, Place, _Deadline) -> {ok, Connection};
open(Connection, Place = {Host, Number}, Deadline) ->
    close(Connection),
    case connect(Host, Number, Deadline) of
        {ok, Socket} -> {ok, {Place, Socket}};
        Error -> Error
    end.

close(none) -> ok;
close({_, Socket}) -> gen_tcp:close(Socket).

save(Path, Body) ->
    Beside = <<Path/binary, ".partial">>,
    ok = file:write_file(Beside, Body, [raw]),
    file:rename(Beside, Path).
