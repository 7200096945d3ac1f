%% Erlang's processes under the lab's workloads.
%%
%% This follows the Erlang efficiency guide and OTP's design principles: a process per concurrent activity, no shared
%% state, small messages, links so that no failure is lost, passive or `{active, once}` sockets for back-pressure,
%% iodata for writing. There are as many schedulers as the lab has workers. The queue and the lock don't use gen_server,
%% because its cost is not the scheduler's.
-module(lab_peer).
-export([start/0]).

start() ->
    %% Keep other output off standard output, which belongs to the lab.
    logger:set_primary_config(level, none),
    Port = lab:open(),
    Status = try run(Port) of
        _ -> 0
    catch
        _:Error ->
            lab:fail(Port, <<"crashed">>, Error),
            0
    end,
    erlang:halt(Status, [{flush, true}]).

run(Port) ->
    P = #{<<"workload">> := Workload, <<"seed">> := Seed} = lab:next_order(Port),
    Workers = erlang:system_info(schedulers_online),
    Number = fun(Name) -> lab:number(Name, P) end,
    Serve = fun(Run) -> lab:serve_orders(Port, Workers, Run) end,
    Size = lab:number(<<"size">>, P, 0),
    case Workload of
        <<"spawn">> -> Serve(fun(_) -> lab_scheduling:spawn_all(Size) end);
        <<"spawn-batch">> -> Serve(fun(_) -> lab_scheduling:spawn_batch(Size) end);
        <<"yield">> -> Serve(fun(_) -> lab_scheduling:yield(Size, Number(<<"yields">>)) end);
        <<"pingpong">> -> Serve(fun(_) -> lab_scheduling:pingpong(Size) end);
        <<"skynet-spawn">> -> Serve(fun(_) -> lab_scheduling:skynet(Size) end);
        <<"fib-spawn">> ->
            Forks = lab_scheduling:forks(Size),
            Serve(fun(_) -> lab_scheduling:fib(Size, Forks) end);
        <<"mpmc">> -> Serve(fun(_) -> lab_scheduling:mpmc(P) end);
        <<"mutex-contended">> ->
            Serve(fun(_) -> lab_scheduling:mutex(Size, Number(<<"tasks">>), Number(<<"held">>)) end);
        <<"timers">> -> Serve(fun(_) -> lab_scheduling:timers(Size, Number(<<"span_ms">>), Seed) end);
        <<"idle">> -> Serve(fun(_) -> lab_scheduling:idle(Size, infinity) end);
        <<"idle-timer">> -> Serve(fun(_) -> lab_scheduling:idle(Size, 3600000) end);
        <<"crawl">> ->
            Site = lab:text(<<"site">>, P),
            Serve(fun(_) -> lab_network:crawl(Size, Number(<<"at_once">>), Site) end);
        <<"download">> ->
            Site = lab:text(<<"site">>, P),
            Timeout = Number(<<"timeout_ms">>),
            Serve(fun(Order) -> lab_network:download(Size, Timeout, Site, lab:text(<<"folder">>, Order)) end);
        _ when Workload =:= <<"echo">>; Workload =:= <<"http">>; Workload =:= <<"mixed">> ->
            lab_network:serve(Port, Workload, P, Workers);
        _ ->
            lab:fail(Port, <<"refused">>, Workload)
    end.
