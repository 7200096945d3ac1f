//! A list whose entries have stable numbers, and from which you can remove any entry in constant time.

/// Items under small numbers, which are reused. Whoever inserts an item keeps the number in order to remove it.
#[derive(Debug)]
pub struct Slots<T> {
    slots: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Slots<T> {
    /// Empty, without an allocation.
    pub const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Stores `item` and returns its number.
    pub fn insert(&mut self, item: T) -> usize {
        if let Some(number) = self.free.pop() {
            self.slots[number] = Some(item);
            return number;
        }
        self.slots.push(Some(item));
        self.slots.len() - 1
    }

    /// Removes the item with this number; `None` if everything was taken in the meantime.
    pub fn remove(&mut self, number: usize) -> Option<T> {
        let item = self.slots.get_mut(number)?.take()?;
        self.free.push(number);
        Some(item)
    }

    /// The item with this number.
    pub fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        self.slots.get_mut(number)?.as_mut()
    }

    /// All items, by number.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().flatten()
    }

    /// True if there is no item.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Takes all items, and frees the memory.
    pub fn take_all(&mut self) -> impl Iterator<Item = T> + use<T> {
        std::mem::take(self).slots.into_iter().flatten()
    }
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_used_again_and_only_then() {
        let mut slots = Slots::new();
        let (first, second) = (slots.insert('a'), slots.insert('b'));
        assert_ne!(first, second);
        assert_eq!(slots.remove(first), Some('a'));
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.insert('c'), first);
        assert_eq!(slots.len(), 2);
        assert_eq!(slots.take_all().collect::<String>(), "cb");
        assert!(slots.is_empty());
        assert_eq!(slots.remove(second), None, "taken with all others");
    }
}
