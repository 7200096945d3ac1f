//! How deep stacks have gone: the kernel knows which of their pages have been touched. This costs nothing until you
//! ask.
#![allow(unsafe_code)]

use std::ops::Range;
use std::ptr;
use std::sync::OnceLock;

use super::GUARD_BYTES;
use super::slab::Class;

/// How many pages one query covers, but at least one stack.
const AT_ONCE: usize = 1 << 14;

/// How deep the stacks of green tasks have gone, in pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StackDepths {
    /// Bytes of a page.
    pub page_bytes: usize,
    /// `stacks[n]` is the number of stacks that have gone `n` pages deep. At 0: those that were never used, or whose
    /// pages were returned to the system since.
    pub stacks: Vec<usize>,
}

impl StackDepths {
    /// The depth of the deepest stack, in bytes.
    pub fn deepest_bytes(&self) -> usize {
        self.stacks.len().saturating_sub(1) * self.page_bytes
    }

    /// How many stacks have gone deeper than `pages` pages, and at most `most` pages.
    pub fn between(&self, pages: usize, most: usize) -> usize {
        self.stacks.iter().take(most + 1).skip(pages + 1).sum()
    }

    fn note(&mut self, pages: usize) {
        if self.stacks.len() <= pages {
            self.stacks.resize(pages + 1, 0);
        }
        self.stacks[pages] += 1;
    }
}

/// How deep each stack of the process has gone since it was created: the most that any of its tasks has used. Counting
/// begins anew for an unused stack whose pages are returned to the system, and a page that was swapped out does not
/// count.
///
/// It queries the kernel for the pages of every stack, some 0.1 us for each. Without `mincore` it finds nothing.
///
/// ```
/// use runtime_core::green;
///
/// let event_loop = runtime_n1::Loop::new()?;
/// event_loop.block_on(async {
///     green::spawn(|| std::hint::black_box([1_u8; 20_000])[7]).await.unwrap();
/// });
/// let depths = green::stack_depths();
/// assert!(depths.deepest_bytes() >= 20_000);
/// println!("{} stacks have used one page", depths.between(0, 1));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn stack_depths() -> StackDepths {
    let page_bytes = page_bytes();
    let mut depths = StackDepths {
        page_bytes,
        stacks: Vec::new(),
    };
    for class in Class::all() {
        let slot_pages = class.slot_bytes() / page_bytes;
        let guard_pages = GUARD_BYTES / page_bytes;
        let slots_at_once = (AT_ONCE / slot_pages.max(1)).max(1);
        for made in class.made() {
            let step = slots_at_once * class.slot_bytes();
            for start in made.clone().step_by(step) {
                let Some(resident) = resident(start..made.end.min(start + step), page_bytes) else {
                    continue;
                };
                for slot in resident.chunks_exact(slot_pages) {
                    let touched = slot[guard_pages..].iter().position(|&page| page & 1 != 0);
                    depths.note(touched.map_or(0, |lowest| slot_pages - guard_pages - lowest));
                }
            }
        }
    }
    depths
}

/// For each page, whether it is resident.
fn resident(addresses: Range<usize>, page_bytes: usize) -> Option<Vec<u8>> {
    let mut pages = vec![0_u8; addresses.len() / page_bytes];
    let start = ptr::with_exposed_provenance_mut(addresses.start);
    // SAFETY: these are whole pages of our own mapping, no part of which is ever unmapped, and there is a byte for
    // each.
    let asked = unsafe { libc::mincore(start, addresses.len(), pages.as_mut_ptr()) };
    (asked == 0).then_some(pages)
}

fn page_bytes() -> usize {
    static PAGE_BYTES: OnceLock<usize> = OnceLock::new();
    *PAGE_BYTES.get_or_init(|| {
        // SAFETY: it only returns a number.
        let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(bytes).unwrap_or(4096)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::Stack;

    #[test]
    fn a_stack_is_as_deep_as_it_was_touched() {
        // No other test uses this class; but stacks of other classes may be as deep.
        let stack = Stack::take(4 << 20).unwrap();
        let before = stack_depths();
        let address = stack.base_address() - 40 * page_bytes();
        // SAFETY: the address is inside the stack, which is ours.
        unsafe { (address as *mut u8).write_volatile(1) };
        let depths = stack_depths();
        assert!(
            depths.between(39, 41) > before.between(39, 41),
            "{before:?}, {depths:?}"
        );
        assert!(depths.deepest_bytes() >= 40 * depths.page_bytes);
        assert_eq!(StackDepths::default().deepest_bytes(), 0);
    }
}
