"""Parses a Perfetto trace with Perfetto's own definitions: tracks nest, slices close, arrows have both ends.

    check-perfetto.py FILE [RUNS]

RUNS is how many processes there must be.
"""

import sys
from collections import Counter, defaultdict

from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent


def main(path, runs):
    trace = Trace()
    with open(path, "rb") as file:
        trace.ParseFromString(file.read())
    tracks, names, open_slices, last = {}, {}, defaultdict(list), {}
    begun, ended, kinds = Counter(), Counter(), Counter()
    for packet in trace.packet:
        assert packet.trusted_packet_sequence_id == 1, packet
        for name in packet.interned_data.event_names:
            names[name.iid] = name.name
        if packet.HasField("track_descriptor"):
            descriptor = packet.track_descriptor
            assert descriptor.uuid not in tracks, f"track {descriptor.uuid} is there twice"
            tracks[descriptor.uuid] = descriptor
        if not packet.HasField("track_event"):
            continue
        event = packet.track_event
        track = event.track_uuid
        assert track in tracks, f"track {track} has no descriptor before its first event"
        assert packet.timestamp >= last.get(track, 0), f"track {track} goes back in time"
        last[track] = packet.timestamp
        kinds[TrackEvent.Type.Name(event.type)] += 1
        if event.type == TrackEvent.TYPE_SLICE_END:
            assert open_slices[track], f"track {track} closes what is not open"
            open_slices[track].pop()
        else:
            assert event.name_iid in names, "a name that was not interned"
        if event.type == TrackEvent.TYPE_SLICE_BEGIN:
            open_slices[track].append(names[event.name_iid])
        begun.update(event.flow_ids)
        ended.update(event.terminating_flow_ids)
        for flow in event.terminating_flow_ids:
            assert flow in begun, f"arrow {flow} ends before it begins"
    left = {track: slices for track, slices in open_slices.items() if slices}
    assert not left, f"slices that nobody closes: {left}"
    assert begun == ended, "arrows with one end"
    assert all(count == 1 for count in begun.values()), "an arrow that begins twice"
    processes = [track for track in tracks.values() if track.HasField("process")]
    assert len(processes) == runs, f"{len(processes)} processes, and {runs} were expected"
    threads = [track for track in tracks.values() if track.HasField("thread")]
    for thread in threads:
        parent = tracks.get(thread.parent_uuid)
        assert parent is not None and parent.process.pid == thread.thread.pid, thread
    tids = Counter(thread.thread.tid for thread in threads)
    assert all(count == 1 for count in tids.values()), "a thread id that is there twice"
    assert begun and kinds["TYPE_SLICE_BEGIN"], "an empty trace"
    print(f"{path}: {len(threads)} threads, {dict(kinds)}, {len(begun)} arrows")


main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3)
