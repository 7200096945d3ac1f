%% The conversation with the lab: lab.child/1 in lines of JSON over standard input and output. While this process waits
%% here for the next order, the lab reads what it has used. OTP has JSON only from 27 on, but the lab's lines are flat
%% enough for a pattern.
-module(lab).
-export([open/0, next_order/1, say/2, fail/3, serve_orders/3, number/2, number/3, text/2]).

%% A port on standard input and output, because io:get_line would go through the shell's processes.
open() ->
    open_port({fd, 0, 1}, [binary, {line, 65536}, eof]).

%% The next line as a map of its numbers and strings, or `stop` if the lab says so or is gone.
next_order(Port) ->
    receive
        {Port, {data, {eol, Line}}} ->
            case parse(Line) of
                #{<<"type">> := <<"stop">>} -> stop;
                Order -> Order
            end;
        {Port, eof} -> stop
    end.

parse(Line) ->
    Options = [global, {capture, all_but_first, binary}],
    Numbers = matches(re:run(Line, <<"\"(\\w+)\":(\\d+)">>, Options)),
    Texts = matches(re:run(Line, <<"\"(\\w+)\":\"([^\"]*)\"">>, Options)),
    maps:merge(
        maps:from_list([{Name, binary_to_integer(Value)} || [Name, Value] <- Numbers]),
        maps:from_list([{Name, Value} || [Name, Value] <- Texts])
    ).

matches({match, Matches}) -> Matches;
matches(nomatch) -> [].

number(Name, Line) -> maps:get(Name, Line).
number(Name, Line, Default) -> maps:get(Name, Line, Default).

text(Name, Line) -> maps:get(Name, Line).

say(Port, Json) ->
    true = port_command(Port, [Json, $\n]),
    ok.

fail(Port, Status, Error) ->
    Text = re:replace(io_lib:format("~0p", [Error]), <<"[\\x00-\\x1f\"\\\\]">>, <<" ">>, [global]),
    say(Port, [<<"{\"type\":\"failure\",\"status\":\"">>, Status, <<"\",\"error\":\"">>, Text, <<"\"}">>]).

%% Executes orders: `Run(Order)` does the work once and returns {Ops, Answer} or {Ops, Answer, More}.
serve_orders(Port, Workers, Run) ->
    say(Port, io_lib:format("{\"type\":\"ready\",\"workers\":~b}", [Workers])),
    orders(Port, Run).

orders(Port, Run) ->
    case next_order(Port) of
        stop ->
            ok;
        Order ->
            Begun = erlang:monotonic_time(),
            {Ops, Answer, More} = repeat(number(<<"repetitions">>, Order), Run, Order, {0, 0, #{}}),
            Wall = erlang:convert_time_unit(erlang:monotonic_time() - Begun, native, nanosecond),
            Late = maps:get(late, More, none),
            Told = [io_lib:format(",\"~s\":~b", [Name, Value]) || {Name, Value} <- maps:to_list(More), Name =/= late],
            say(Port, io_lib:format(
                "{\"type\":\"done\",\"ops\":~b,\"wall_ns\":~b,\"answer\":~b~s}", [Ops, max(Wall, 1), Answer, Told])),
            %% In a separate line, so that formatting it is not part of the work.
            Late =:= none orelse say(Port, [
                <<"{\"type\":\"late\",\"late_ns\":[">>,
                lists:join($,, [integer_to_binary(Each) || Each <- Late]),
                <<"]}">>
            ]),
            orders(Port, Run)
    end.

repeat(0, _Run, _Order, Sum) ->
    Sum;
repeat(Left, Run, Order, {Ops, Answer, _}) ->
    Sum = case Run(Order) of
        {O, A} -> {Ops + O, Answer + A, #{}};
        {O, A, More} -> {Ops + O, Answer + A, More}
    end,
    repeat(Left - 1, Run, Order, Sum).
