//! Which keys are in use while generations follow each other.
//!
//! ```text
//! offerer                                answerer
//!   current  n                             current  n
//!   -- offer n+1 -->                       next     n+1    opens n and n+1, seals n
//!   <-- answer --
//!   current  n+1, former n                                 seals n+1 from here on
//!   -- first packet under n+1 -->          current  n+1, former n
//! ```
//!
//! So no packet is sealed under keys that the far end does not have, and none that is under way
//! when they change gets lost.

/// The generations of one fast session, each with what belongs to it: what the data half seals and
/// opens with. A value without locks; a table of sessions publishes it as a whole.
#[derive(Clone, Debug)]
pub struct Generations<T> {
    /// Answered, and not yet heard from.
    next: Option<(u8, T)>,
    current: Option<(u8, T)>,
    former: Option<(u8, T)>,
    /// What is current is also what is sealed under.
    speaks: bool,
}

impl<T> Default for Generations<T> {
    fn default() -> Self {
        Self { next: None, current: None, former: None, speaks: false }
    }
}

impl<T> Generations<T> {
    /// Takes in a new generation, see [`super::FastKeys::speaks`]. One of the same number, 256
    /// generations old or left over from before the far end began anew, makes room.
    pub fn add(&mut self, generation: u8, keys: T, speaks: bool) {
        for place in [&mut self.next, &mut self.current, &mut self.former] {
            if place.as_ref().is_some_and(|(kept, _)| *kept == generation) {
                *place = None;
            }
        }
        self.speaks &= self.current.is_some();
        self.next = Some((generation, keys));
        if speaks {
            self.promote();
        }
    }

    /// What belongs to a generation, for opening.
    pub fn find(&self, generation: u8) -> Option<&T> {
        let all = [&self.current, &self.next, &self.former];
        all.into_iter().flatten().find(|(kept, _)| *kept == generation).map(|(_, keys)| keys)
    }

    /// The same, for a table without locks.
    pub fn find_mut(&mut self, generation: u8) -> Option<&mut T> {
        let all = [&mut self.current, &mut self.next, &mut self.former];
        all.into_iter().flatten().find(|(kept, _)| *kept == generation).map(|(_, keys)| keys)
    }

    /// Whether a packet of this generation is the far end's sign that it has its keys, so that
    /// [`Self::heard`] is to be called once the packet has opened.
    pub fn is_next(&self, generation: u8) -> bool {
        self.next.as_ref().is_some_and(|(next, _)| *next == generation)
    }

    /// A packet of this generation has opened: what is to be sealed is sealed under it, if it is
    /// the next one.
    pub fn heard(&mut self, generation: u8) {
        if self.is_next(generation) {
            self.promote();
        }
    }

    /// What is sealed under; `None`: the compatible session is.
    pub fn sealing(&self) -> Option<&T> {
        let (_, keys) = self.current.as_ref().filter(|_| self.speaks)?;
        Some(keys)
    }

    /// Seals in the compatible session until the far end is heard under a next generation. Packets
    /// that still arrive under these open.
    pub fn fall_back(&mut self) {
        self.speaks = false;
    }

    fn promote(&mut self) {
        let former = self.current.take();
        self.current = self.next.take();
        self.speaks = self.current.is_some();
        if former.is_some() {
            self.former = former;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(generations: &Generations<&'static str>) -> Vec<&'static str> {
        (0..=255).filter_map(|generation| generations.find(generation).copied()).collect()
    }

    #[test]
    fn the_offerer_seals_at_once_and_opens_the_former() {
        let mut generations = Generations::default();
        assert_eq!(generations.sealing(), None);
        for (generation, keys) in [(254, "a"), (255, "b"), (0, "c")] {
            generations.add(generation, keys, true);
            assert_eq!(generations.sealing(), Some(&keys));
        }
        assert_eq!(kept(&generations), ["c", "b"]);
    }

    #[test]
    fn the_answerer_seals_under_what_it_has_heard() {
        let mut generations = Generations::default();
        generations.add(1, "a", false);
        assert_eq!(generations.sealing(), None);
        assert!(generations.is_next(1) && !generations.is_next(2));
        generations.heard(2);
        assert_eq!(generations.sealing(), None);
        generations.heard(1);
        assert_eq!(generations.sealing(), Some(&"a"));
        generations.add(2, "b", false);
        generations.heard(1);
        assert_eq!((generations.sealing(), kept(&generations)), (Some(&"a"), vec!["a", "b"]));
        generations.heard(2);
        assert_eq!((generations.sealing(), kept(&generations)), (Some(&"b"), vec!["a", "b"]));
    }

    #[test]
    fn answers_that_never_came_to_use_push_out_nothing_but_each_other() {
        let mut generations = Generations::default();
        generations.add(1, "a", true);
        for (generation, keys) in [(2, "b"), (3, "c"), (4, "d")] {
            generations.add(generation, keys, false);
            assert_eq!(kept(&generations), ["a", keys]);
            assert_eq!(generations.sealing(), Some(&"a"));
        }
    }

    #[test]
    fn after_a_fall_back_the_old_opens_and_only_the_new_seals() {
        let mut generations = Generations::default();
        generations.add(1, "a", true);
        generations.fall_back();
        assert_eq!((generations.sealing(), kept(&generations)), (None, vec!["a"]));
        generations.heard(1);
        assert_eq!(generations.sealing(), None);
        generations.add(2, "b", false);
        assert_eq!((generations.sealing(), kept(&generations)), (None, vec!["a", "b"]));
        generations.heard(2);
        assert_eq!((generations.sealing(), kept(&generations)), (Some(&"b"), vec!["a", "b"]));
    }

    #[test]
    fn one_number_means_one_generation() {
        let mut generations = Generations::default();
        generations.add(1, "old", true);
        generations.fall_back();
        generations.add(1, "new", false);
        assert_eq!((generations.sealing(), kept(&generations)), (None, vec!["new"]));
        generations.heard(1);
        assert_eq!(generations.sealing(), Some(&"new"));
        generations.add(1, "again", true);
        assert_eq!((generations.sealing(), kept(&generations)), (Some(&"again"), vec!["again"]));
    }
}
