//! Slots given and taken back.

use std::sync::mpsc;

use uuid::Uuid;

use super::*;

const A: LaneId = LaneId(1);
const B: LaneId = LaneId(2);
const NOW: Timestamp = Timestamp::from_micros(0);

fn lanes(total: usize, per_lane: usize) -> (Lanes, mpsc::Receiver<LaneId>) {
    lanes_with(LaneLimits { total, per_lane, unproven: total, bytes: 100, ..LaneLimits::default() })
}

fn lanes_with(limits: LaneLimits) -> (Lanes, mpsc::Receiver<LaneId>) {
    let (freed, heard) = mpsc::channel();
    let on_free = Box::new(move |id| freed.send(id).expect("the test listens"));
    (Lanes::new(limits, on_free), heard)
}

fn slots(reserved: Reserved) -> Vec<Slot> {
    if let Reserved::Slots(slots) = reserved { slots } else { Vec::new() }
}

fn told(answer: Answer, n: usize, at: Timestamp) -> Heard {
    Heard { answer, delivery_id: Uuid::from_u128(n as u128).into(), at, took: Duration::ZERO }
}

fn fail(lanes: &Lanes, id: LaneId, times: usize) {
    for n in 0..times {
        let mut slot = lanes.reserve(id, NOW).expect("a slot");
        slot.heard(told(Answer::None, n, NOW));
    }
}

#[test]
fn a_full_lane_leaves_room_for_others() {
    let (lanes, heard) = lanes(3, 2);
    let first = slots(lanes.reserve_waiting(A, 5, NOW));
    assert_eq!(first.len(), 2);
    assert!(lanes.reserve(A, NOW).is_none());
    let other = lanes.reserve(B, NOW);
    assert!(other.is_some());
    assert!(matches!(lanes.reserve_waiting(A, 1, NOW), Reserved::WhenFreed));
    drop(other);
    assert!(heard.try_recv().is_err(), "the lane itself is full");
    drop(first);
    assert_eq!(heard.try_recv(), Ok(A));
    assert!(heard.try_recv().is_err(), "told once");
}

#[test]
fn what_waits_for_a_slow_endpoint_leaves_room_for_others_while_there_are_any() {
    let (lanes, heard) = lanes(400, 256);
    let took = Duration::from_millis(100);
    let answer = |slot: &mut Slot, at| slot.heard(Heard { took, ..told(Answer::Well, 0, at) });
    for _ in 0..256 {
        answer(&mut lanes.reserve(A, NOW).expect("a slot"), NOW);
    }
    let most = |now| {
        let mut held = Vec::new();
        while let Reserved::Slots(more) = lanes.reserve_waiting(A, 256, now) {
            held.extend(more);
        }
        let limit = lanes.health(A, now).limit;
        assert_eq!(held.len(), limit);
        let soon = now + Duration::from_millis(1);
        let claim = (limit / 4).clamp(1, 10);
        held.iter_mut().take(claim - 1).for_each(|slot| answer(slot, soon));
        assert_eq!(heard.try_iter().count(), 0, "too few for a claim");
        held.iter_mut().skip(claim - 1).for_each(|slot| answer(slot, soon));
        assert_eq!(heard.try_iter().count(), 1, "it is told once there are enough");
        limit
    };
    let later = NOW + Duration::from_secs(3);
    assert_eq!(most(later), 256);
    (0..10).for_each(|_| drop(lanes.reserve(B, later)));
    assert_eq!(most(later), 13);
    assert_eq!(most(later + Duration::from_secs(2)), 256);
}

#[test]
fn larger_machines_let_more_catch_up_beside_others() {
    assert_eq!([1, 2, 16].map(|processors| LaneLimits::on(processors).pace_beside), [120, 120, 960]);
}

#[test]
fn whoever_starved_first_is_told_first() {
    let (lanes, heard) = lanes(1, 1);
    let slot = lanes.reserve(LaneId(0), NOW);
    for id in [A, B, A] {
        assert!(matches!(lanes.reserve_waiting(id, 1, NOW), Reserved::WhenFreed));
    }
    drop(slot);
    assert_eq!(heard.try_recv(), Ok(A));
    assert!(heard.try_recv().is_err());
    drop(lanes.reserve_waiting(A, 1, NOW));
    assert_eq!(heard.try_recv(), Ok(B));
}

#[test]
fn newcomers_queue_behind_waiting_rows() {
    let (lanes, _heard) = lanes(2, 2);
    lanes.set_waiting(A, true, NOW);
    assert!(lanes.reserve(A, NOW).is_none());
    assert_eq!(slots(lanes.reserve_waiting(A, 1, NOW)).len(), 1);
    lanes.set_waiting(A, false, NOW);
    assert!(lanes.reserve(A, NOW).is_some());
}

#[test]
fn no_more_lanes_are_remembered_than_there_is_room_for() {
    let (lanes, _heard) = lanes(2, 1);
    let busy = lanes.reserve(A, NOW);
    for n in 0..=i64::try_from(REMEMBERED).expect("small") {
        drop(lanes.reserve(LaneId(n), NOW));
    }
    assert!(lanes.0.lock().lanes.len() <= REMEMBERED);
    assert_eq!(lanes.health(A, NOW).in_flight, 1);
    drop(busy);
    assert_eq!(lanes.in_flight(), 0);
    (0..).map(LaneId).take(2 * REMEMBERED).for_each(|id| lanes.set_waiting(id, true, NOW + CLEAN_UP));
    assert_eq!(lanes.0.lock().lanes.len(), REMEMBERED);
    let unknown = lanes.reserve_waiting(LaneId(-1), 1, NOW + CLEAN_UP);
    assert!(matches!(unknown, Reserved::At(at) if at == NOW + CLEAN_UP + CLEAN_UP), "{unknown:?}");
}

#[test]
fn large_payloads_leave_no_room() {
    let (lanes, heard) = lanes(9, 9);
    let large = lanes.reserve(A, NOW).map(|slot| slot.holding(100));
    assert!(lanes.reserve(B, NOW).is_none());
    assert!(matches!(lanes.reserve_waiting(B, 1, NOW), Reserved::WhenFreed));
    drop(large);
    assert_eq!(heard.try_recv(), Ok(B));
    assert!(lanes.reserve(B, NOW).is_some());
}

#[test]
fn endpoints_that_do_not_answer_share_a_part() {
    let (lanes, heard) =
        lanes_with(LaneLimits { total: 9, per_lane: 9, unproven: 2, bytes: 100, ..LaneLimits::default() });
    let mut well = lanes.reserve(A, NOW).expect("a slot");
    well.heard(told(Answer::Well, 1, NOW));
    drop(well);
    let hanging = [lanes.reserve(B, NOW), lanes.reserve(B, NOW)];
    assert!(hanging.iter().all(Option::is_some));
    assert!(matches!(lanes.reserve_waiting(LaneId(3), 1, NOW), Reserved::WhenFreed));
    assert_eq!(slots(lanes.reserve_waiting(A, 7, NOW)).len(), 7, "what answers has all the rest");
    assert!(heard.try_recv().is_err());
    drop(hanging);
    assert_eq!(heard.try_recv(), Ok(LaneId(3)));
    assert_eq!(lanes.0.lock().unproven, 0);
}

#[test]
fn a_dead_endpoint_is_probed_by_what_waits_the_longest() {
    let (lanes, heard) = lanes(500, 200);
    fail(&lanes, A, lane::DEAD_AFTER);
    let health = lanes.health(A, NOW);
    let first = NOW + lane::FIRST_INTERVAL;
    assert_eq!((health.state, health.limit, health.next_probe_at), (LaneState::Probing, 1, Some(first)));
    assert_eq!(lanes.not_open(NOW), HashMap::from([(A, LaneState::Probing)]));
    assert!(lanes.reserve(A, first).is_none(), "newcomers queue");
    assert!(matches!(lanes.reserve_waiting(A, 9, NOW), Reserved::At(at) if at == first));
    let mut probes = slots(lanes.reserve_waiting(A, 9, first));
    assert_eq!(probes.len(), 1);
    let mut probe = probes.remove(0);
    assert!(probe.is_probe());
    assert!(matches!(lanes.reserve_waiting(A, 9, first), Reserved::WhenFreed));
    probe.heard(told(Answer::Well, 0, first));
    drop(probe);
    assert_eq!(heard.try_recv(), Ok(A));
    assert_eq!(lanes.health(A, first).state, LaneState::Open);
    assert_eq!(slots(lanes.reserve_waiting(A, 9, first)).len(), 9);
}

#[test]
fn an_answer_gives_the_lane_its_share_back() {
    let (lanes, heard) = lanes(2, 1);
    let mut first = lanes.reserve(A, NOW).expect("a slot");
    lanes.queued(A, NOW);
    assert!(matches!(lanes.reserve_waiting(A, 1, NOW), Reserved::WhenFreed));
    first.heard(told(Answer::Well, 1, NOW));
    assert_eq!((heard.try_recv(), lanes.in_flight()), (Ok(A), 1));
    assert!(lanes.reserve(A, NOW).is_none(), "a row waits");
    assert_eq!(slots(lanes.reserve_waiting(A, 5, NOW)).len(), 1);
    drop(first);
    assert_eq!(lanes.in_flight(), 0);
}

#[test]
fn rows_are_claimed_many_at_a_time() {
    let (lanes, heard) = lanes(99, 16);
    let mut taken = slots(lanes.reserve_waiting(A, 99, NOW));
    assert!(matches!(lanes.reserve_waiting(A, 1, NOW), Reserved::WhenFreed));
    taken.truncate(13);
    assert!(heard.try_recv().is_err(), "a few slots are not worth a claim");
    taken.truncate(12);
    assert_eq!(heard.try_recv(), Ok(A));
}

#[test]
fn after_a_moment_few_slots_are_worth_a_claim() {
    let (lanes, heard) = lanes(99, 16);
    let mut taken = slots(lanes.reserve_waiting(A, 99, NOW));
    assert!(matches!(lanes.reserve_waiting(A, 1, NOW), Reserved::WhenFreed));
    taken[0].heard(told(Answer::Well, 0, NOW + Duration::from_millis(1)));
    assert!(heard.try_recv().is_err());
    taken[1].heard(told(Answer::Well, 1, NOW + lane::GATHER));
    assert_eq!(heard.try_recv(), Ok(A));
}

#[test]
fn what_finds_room_queues_behind_nothing() {
    let (lanes, _heard) = lanes(9, 9);
    lanes.queued(A, NOW);
    assert!(lanes.reserve(A, NOW).is_some());
}

#[test]
fn closed_gives_nothing() {
    let (lanes, _heard) = lanes(2, 2);
    lanes.close();
    assert!(lanes.reserve(A, NOW).is_none());
    assert!(matches!(lanes.reserve_waiting(A, 1, NOW), Reserved::WhenFreed));
    assert!(Lanes::none().reserve(A, NOW).is_none());
}
