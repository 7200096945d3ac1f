//! Names of tasks as numbers: a record has room for 16 bits.

use std::cell::Cell;
use std::collections::HashMap;
use std::panic::Location;
use std::ptr;

/// A task's name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Name<'a> {
    /// The type of its future.
    Type(&'static str),
    /// A name of its own.
    Given(&'a str),
}

type Site = Option<&'static Location<'static>>;

impl Name<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Type(name) => name,
            Self::Given(name) => name,
        }
    }
}

/// All names of a recording, each with the place of the spawn. 0 is no name: it is returned when there are too many.
#[derive(Clone, Debug)]
pub(super) struct Names {
    all: Vec<(Box<str>, Site)>,
    numbers: HashMap<(Box<str>, usize), u16>,
}

fn address(site: Site) -> usize {
    site.map_or(0, |site| ptr::from_ref(site).addr())
}

impl Names {
    pub(super) fn new() -> Self {
        Self {
            all: Vec::new(),
            numbers: HashMap::new(),
        }
    }

    pub(super) fn number(&mut self, name: Name<'_>, site: Site) -> u16 {
        let key = (Box::from(name.text()), address(site));
        if let Some(number) = self.numbers.get(&key) {
            return *number;
        }
        let Ok(number) = u16::try_from(self.all.len() + 1) else {
            return 0;
        };
        self.all.push((key.0.clone(), site));
        self.numbers.insert(key, number);
        number
    }

    pub(super) fn get(&self, number: u16) -> Option<(&str, Site)> {
        let (name, site) = self.all.get(usize::from(number).checked_sub(1)?)?;
        Some((name, *site))
    }
}

const PLACES: usize = 64;

/// The types that one thread has spawned recently, so that their names are looked up without a lock. A task's own name
/// may be anywhere in memory, and is always looked up.
pub(super) struct Seen([Cell<(Key, u16)>; PLACES]);

/// A type's name and a place, by their addresses. Names may begin at the same address and differ in length.
type Key = (usize, usize, usize);

impl Seen {
    pub(super) fn new() -> Self {
        Self([const { Cell::new(((0, 0, 0), 0)) }; PLACES])
    }

    #[inline]
    pub(super) fn number<'a>(
        &self,
        name: Name<'a>,
        site: Site,
        look_up: impl FnOnce(Name<'a>) -> u16,
    ) -> u16 {
        let Name::Type(text) = name else {
            return look_up(name);
        };
        // The same type in two crates may have one name at two addresses. It is then looked up twice, and found.
        let key = (text.as_ptr().addr(), text.len(), address(site));
        let place = &self.0[((key.0 / 8) ^ (key.2 / 8)) % PLACES];
        let (seen, number) = place.get();
        if seen == key {
            return number;
        }
        let number = look_up(name);
        place.set((key, number));
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_number_for_each_place() {
        let mut names = Names::new();
        let here = Some(Location::caller());
        let first = names.number(Name::Type("a"), None);
        assert_eq!(names.number(Name::Given("a"), None), first);
        let second = names.number(Name::Given("a"), here);
        assert_ne!(second, first);
        assert_eq!(names.get(second), Some(("a", here)));
        assert_eq!(names.get(0), None);
    }

    #[test]
    fn names_beyond_the_limit_have_number_0() {
        let mut names = Names::new();
        for number in 1..=u16::MAX {
            assert_eq!(names.number(Name::Given(&number.to_string()), None), number);
        }
        assert_eq!(names.number(Name::Given("one more"), None), 0);
        assert_eq!(names.number(Name::Given("7"), None), 7);
    }

    #[test]
    fn a_types_name_is_looked_up_once() {
        let seen = Seen::new();
        let looked = Cell::new(0);
        let look = |_: Name<'_>| {
            looked.set(looked.get() + 1);
            5
        };
        assert_eq!(seen.number(Name::Type("a"), None, look), 5);
        assert_eq!(seen.number(Name::Type("a"), None, look), 5);
        assert_eq!(looked.get(), 1);
        seen.number(Name::Given("a"), None, look);
        assert_eq!(looked.get(), 2);
    }
}
