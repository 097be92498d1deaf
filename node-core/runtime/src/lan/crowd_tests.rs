//! Rules of one node, and crowds of many in virtual time.

use super::*;

const CABLE: Index = 1;
const AIR: Index = 2;

fn key(first: u8) -> NodeKey {
    let mut bytes = [0x55; 32];
    bytes[0] = first;
    NodeKey::from_bytes(bytes)
}

fn place(interface: Index, host: u16) -> SocketAddrV6 {
    SocketAddrV6::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, host), 4000, 0, interface)
}

fn crowd(own: u8, links_max: usize) -> (Crowd, Instant) {
    let now = Instant::now();
    let mut crowd = Crowd::new(key(own), links_max, now);
    crowd.settle(&BTreeMap::from([(CABLE, false), (AIR, true)]));
    (crowd, now)
}

fn hear(crowd: &mut Crowd, interface: Index, first: u8, now: Instant) {
    crowd.hear(interface, key(first), place(interface, first.into()), now);
}

fn dialled(crowd: &mut Crowd, now: Instant) -> Vec<(NodeKey, SeatId)> {
    crowd.wanted(now, |_| 0).0.into_iter().map(|dial| (dial.key, dial.seat)).collect()
}

fn keys(dials: &[(NodeKey, SeatId)]) -> Vec<NodeKey> {
    dials.iter().map(|(key, _)| *key).collect()
}

#[test]
fn the_lower_key_dials_at_once_and_the_higher_one_waits() {
    let (mut low, now) = crowd(1, 8);
    hear(&mut low, CABLE, 2, now);
    assert_eq!(keys(&dialled(&mut low, now)), [key(2)]);

    let (mut high, now) = crowd(2, 8);
    hear(&mut high, CABLE, 1, now);
    let (none, due) = high.wanted(now, |_| 0);
    assert!(none.is_empty() && due == Some(now + GRACE));
    assert!(high.admit(CABLE, key(1), now).is_some());
    assert!(dialled(&mut high, now + GRACE).is_empty(), "there is a link already");
}

#[test]
fn the_own_key_and_unknown_interfaces_are_ignored() {
    let (mut crowd, now) = crowd(5, 8);
    hear(&mut crowd, CABLE, 5, now);
    hear(&mut crowd, 77, 6, now);
    assert!(dialled(&mut crowd, now + GRACE).is_empty());
    assert!(crowd.admit(77, key(6), now).is_none());
}

#[test]
fn a_key_stays_where_it_was_found_until_it_is_not_found_there() {
    let (mut crowd, now) = crowd(1, 8);
    hear(&mut crowd, CABLE, 2, now);
    let liar = place(CABLE, 666);
    crowd.hear(CABLE, key(2), liar, now);
    let (dials, _) = crowd.wanted(now, |_| 0);
    assert_eq!(dials[0].at, place(CABLE, 2));
    crowd.leave(dials[0].seat, now);
    let moved = place(CABLE, 3);
    crowd.hear(CABLE, key(2), moved, now);
    crowd.hear(CABLE, key(2), liar, now);
    let (dials, _) = crowd.wanted(now + FIRST_WAIT, |_| 0);
    assert_eq!(dials[0].at, moved);
}

#[test]
fn failures_lengthen_the_wait_and_silence_forgets() {
    let (mut crowd, mut now) = crowd(1, 8);
    hear(&mut crowd, CABLE, 2, now);
    for wait in [1, 2, 4, 8, 16, 16] {
        let dials = dialled(&mut crowd, now);
        crowd.leave(dials[0].1, now);
        let wait = Duration::from_secs(wait);
        assert!(dialled(&mut crowd, now + wait - Duration::from_millis(1)).is_empty());
        now += wait;
        hear(&mut crowd, CABLE, 2, now);
    }
    assert!(dialled(&mut crowd, now + HEARD_AGE_MAX).is_empty());
    assert!(!crowd.knows(CABLE, &key(2)));
}

#[test]
fn a_flood_from_one_address_is_a_few_keys_and_from_many_a_bounded_number() {
    let (mut crowd, now) = crowd(0, 8);
    for number in 1..=200 {
        crowd.hear(CABLE, key(number), place(CABLE, 9), now);
    }
    assert_eq!(crowd.grounds[&CABLE].heard.len(), KEYS_PER_ADDRESS_MAX);
    for number in 0..2000_u16 {
        let mut bytes = [7; 32];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        let moment = now + Duration::from_millis(u64::from(number));
        crowd.hear(CABLE, NodeKey::from_bytes(bytes), place(CABLE, number), moment);
    }
    assert_eq!(crowd.grounds[&CABLE].heard.len(), HEARD_MAX);
}

#[test]
fn attempts_are_few_at_once_and_in_time() {
    let (mut crowd, start) = crowd(0, 64);
    let mut attempts = 0;
    for tenth in 0..200 {
        let now = start + Duration::from_millis(100 * tenth);
        for number in 1..=100 {
            hear(&mut crowd, CABLE, number, now);
        }
        let dials = dialled(&mut crowd, now);
        assert!(crowd.dialling() <= DIALS_MAX);
        attempts += dials.len();
        for (_, seat) in dials {
            crowd.leave(seat, now);
        }
    }
    assert!((20..=8 + 41).contains(&attempts), "{attempts}");
}

#[test]
fn a_wire_is_taken_beside_the_air_and_not_the_other_way_around() {
    let (mut crowd, now) = crowd(1, 8);
    hear(&mut crowd, AIR, 2, now);
    let dials = dialled(&mut crowd, now);
    crowd.came_up(dials[0].1, now);
    hear(&mut crowd, CABLE, 2, now);
    let dials = dialled(&mut crowd, now);
    assert_eq!(keys(&dials), [key(2)]);
    crowd.came_up(dials[0].1, now);
    assert_eq!((crowd.links_over(AIR), crowd.links_over(CABLE)), (1, 1));
    assert!(dialled(&mut crowd, now).is_empty());
}

#[test]
fn who_is_full_lets_in_those_beside_it_and_closes_a_chord() {
    let (mut crowd, now) = crowd(100, 2);
    for number in [10, 20, 150] {
        hear(&mut crowd, CABLE, number, now);
    }
    let first = crowd.admit(CABLE, key(10), now).unwrap();
    let _beside = crowd.admit(CABLE, key(20), now).unwrap();
    hear(&mut crowd, CABLE, 5, now);
    assert!(crowd.admit(CABLE, key(5), now).is_none(), "it is full");
    hear(&mut crowd, CABLE, 90, now);
    assert!(crowd.admit(CABLE, key(90), now).is_some());
    let surplus: Vec<_> =
        crowd.seats.iter().filter(|(_, seat)| seat.surplus).map(|(id, _)| *id).collect();
    assert!(surplus.len() == 1 && surplus[0] != first.0 || surplus == [first.0]);
    assert!(crowd.admit(CABLE, key(90), now).is_some(), "its owner may have started anew");
    assert!(crowd.admit(CABLE, key(90), now).is_none());
}

#[test]
fn links_over_an_interface_that_is_left_are_closed() {
    let (mut crowd, now) = crowd(1, 8);
    let (seat, _) = crowd.admit(AIR, key(2), now).unwrap();
    crowd.settle(&BTreeMap::from([(CABLE, false)]));
    assert!(crowd.seats[&seat].surplus);
    crowd.leave(seat, now);
    assert!(crowd.take_lost().is_empty());
}

/// Many nodes on switches, in steps of a tenth of a second.
struct Hall {
    now: Instant,
    nodes: Vec<(Crowd, usize)>,
    /// Both ends of each link: node and seat.
    links: Vec<[(usize, SeatId); 2]>,
    random: u64,
}

impl Hall {
    fn new() -> Self {
        Self { now: Instant::now(), nodes: Vec::new(), links: Vec::new(), random: 1 }
    }

    fn chance(random: &mut u64, below: usize) -> usize {
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (*random >> 33) as usize % below
    }

    fn enter(&mut self, switch: usize, links_max: usize) {
        let mut bytes = [0; 32];
        for byte in &mut bytes {
            *byte = Self::chance(&mut self.random, 256) as u8;
        }
        let mut crowd = Crowd::new(NodeKey::from_bytes(bytes), links_max, self.now);
        crowd.settle(&BTreeMap::from([(CABLE, false)]));
        self.nodes.push((crowd, switch));
    }

    fn run(&mut self, seconds: u64) {
        for tenth in 0..seconds * 10 {
            self.now += Duration::from_millis(100);
            for sender in 0..self.nodes.len() {
                if (tenth + sender as u64).is_multiple_of(50) {
                    self.announce(sender);
                }
            }
            for node in 0..self.nodes.len() {
                self.dial(node);
            }
            self.close();
        }
    }

    fn announce(&mut self, sender: usize) {
        let (own, switch) = (self.nodes[sender].0.own, self.nodes[sender].1);
        for (crowd, at) in &mut self.nodes {
            if *at == switch {
                crowd.hear(CABLE, own, place(CABLE, sender as u16), self.now);
            }
        }
    }

    fn dial(&mut self, node: usize) {
        let random = &mut self.random;
        let (dials, _) = self.nodes[node].0.wanted(self.now, |below| Self::chance(random, below));
        let own = self.nodes[node].0.own;
        for dial in dials {
            let other = usize::from(dial.at.ip().segments()[7]);
            let reached = self.nodes[other].1 == self.nodes[node].1;
            let seat = self.nodes[other].0.admit(CABLE, own, self.now).filter(|_| reached);
            match seat {
                None => self.nodes[node].0.leave(dial.seat, self.now),
                Some((seat, _)) => {
                    self.nodes[node].0.came_up(dial.seat, self.now);
                    self.links.push([(node, dial.seat), (other, seat)]);
                }
            }
        }
    }

    /// Closes what either end has given up, or what a switch does not carry.
    fn close(&mut self) {
        let (nodes, now) = (&mut self.nodes, self.now);
        self.links.retain(|ends| {
            let [one, other] = ends.map(|(node, _)| nodes[node].1);
            let given_up = ends.iter().any(|(node, seat)| nodes[*node].0.seats[seat].surplus);
            let ended = given_up || one != other;
            for (node, seat) in ends.iter().filter(|_| ended) {
                nodes[*node].0.leave(*seat, now);
            }
            !ended
        });
    }

    /// Whether every node of a switch reaches every other one over links.
    fn is_one(&self, switch: usize) -> bool {
        let members: BTreeSet<_> =
            (0..self.nodes.len()).filter(|node| self.nodes[*node].1 == switch).collect();
        let mut reached: BTreeSet<_> = members.first().copied().into_iter().collect();
        loop {
            let before = reached.len();
            for [(one, _), (other, _)] in &self.links {
                if reached.contains(one) || reached.contains(other) {
                    reached.extend([*one, *other]);
                }
            }
            if reached.len() == before {
                return reached == members;
            }
        }
    }

    fn check_caps(&self, links_max: usize) {
        for node in 0..self.nodes.len() {
            let opened = self.links.iter().filter(|[(from, _), _]| *from == node).count();
            let taken = self.links.iter().filter(|[_, (to, _)]| *to == node).count();
            // One over each way is on its way out.
            assert!(opened <= links_max + 1 && taken <= links_max + 1, "{opened} {taken}");
        }
    }
}

#[test]
fn nodes_that_are_switched_on_at_once_are_one_network_of_few_links() {
    for (nodes, links_max) in [(2, 1), (12, 1), (12, 2), (30, 8), (200, 8)] {
        let mut hall = Hall::new();
        for _ in 0..nodes {
            hall.enter(0, links_max);
        }
        hall.run(60);
        assert!(hall.is_one(0), "{nodes} {links_max}");
        hall.check_caps(links_max);
        assert!(hall.links.len() <= nodes * links_max);
    }
}

#[test]
fn who_comes_later_is_let_in() {
    let mut hall = Hall::new();
    for _ in 0..40 {
        hall.enter(0, 3);
        hall.run(6);
    }
    hall.run(30);
    assert!(hall.is_one(0));
    hall.check_caps(3);
}

#[test]
fn two_crowds_whose_switches_are_joined_become_one() {
    let mut hall = Hall::new();
    for number in 0..18 {
        hall.enter(number % 2, 8);
    }
    hall.run(60);
    assert!(hall.is_one(0) && hall.is_one(1));
    for (_, switch) in &mut hall.nodes {
        *switch = 0;
    }
    hall.run(30);
    assert!(hall.is_one(0));
    hall.check_caps(8);
}

#[test]
fn a_crowd_that_loses_members_stays_one() {
    let mut hall = Hall::new();
    for _ in 0..30 {
        hall.enter(0, 2);
    }
    hall.run(60);
    for node in (0..30).step_by(3) {
        hall.nodes[node].1 = 1;
    }
    // Until those who are gone are forgotten, and a little longer.
    hall.run(75);
    assert!(hall.is_one(0) && hall.is_one(1));
}
