//! The guest's heap: blocks in classes of sizes, freed ones kept in a list for each class. A long block of the session
//! takes memory again and again, and a proof's cost goes by instructions, so neither a search nor a merge is made.

use crate::zkvm::exit_failure;
use core::alloc::{GlobalAlloc, Layout};
use core::arch::global_asm;
use core::cell::Cell;

global_asm!(include_str!("copy.s"));

/// Bytes of memory that the machine has.
const MEMORY_END: usize = 1 << 29;

/// Sizes up to this one are in classes of `GRAIN` bytes, larger ones in four classes for each power of two.
const SMALL: usize = 1 << SMALL_BITS;
const SMALL_BITS: usize = 10;
const GRAIN: usize = 16;

/// Classes of small sizes, from 1 on, and of large ones up to the memory's.
const CLASSES: usize = SMALL / GRAIN + 1 + 4 * (30 - SMALL_BITS);

struct Heap {
    /// Address of the next byte that was never used; 0 before the first allocation.
    next: Cell<usize>,
    /// Address of the first free block of each class, whose first word is that of the next; 0 ends the list.
    free: [Cell<usize>; CLASSES],
}

// SAFETY: the machine has one thread.
unsafe impl Sync for Heap {}

#[global_allocator]
static HEAP: Heap = Heap { next: Cell::new(0), free: [const { Cell::new(0) }; CLASSES] };

extern "C" {
    /// End of the program, from link.ld.
    static _end: u8;
}

/// The class of blocks for a size, and their size, a multiple of `GRAIN`.
fn class_of(size: usize) -> (usize, usize) {
    if size <= SMALL {
        let grains = size.div_ceil(GRAIN);
        return (grains, grains * GRAIN);
    }
    // The size is above 4 and at most 8 times this.
    let shift = (usize::BITS - (size - 1).leading_zeros()) as usize - 3;
    let steps = size.div_ceil(1 << shift);
    (SMALL / GRAIN + 4 * (shift + 2 - SMALL_BITS) + steps - 4, steps << shift)
}

impl Heap {
    /// Takes fresh memory from `start` on.
    fn reserve(&self, start: usize, size: usize) {
        match start.checked_add(size) {
            Some(end) if end <= MEMORY_END => self.next.set(end),
            _ => exit_failure(),
        }
    }

    fn fresh(&self, size: usize, align: usize) -> *mut u8 {
        let next = match self.next.get() {
            0 => core::ptr::addr_of!(_end) as usize,
            next => next,
        };
        let start = next.next_multiple_of(align.max(GRAIN));
        self.reserve(start, size);
        start as *mut u8
    }
}

// SAFETY: blocks don't overlap, lie between the program's end and the memory's, and are aligned. A block is in a list
// only while it is free.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > MEMORY_END {
            exit_failure()
        }
        let (class, size) = class_of(layout.size());
        let free = &self.free[class];
        match free.get() {
            first if first != 0 && layout.align() <= GRAIN => {
                free.set(*(first as *const usize));
                first as *mut u8
            }
            _ => self.fresh(size, layout.align()),
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let free = &self.free[class_of(layout.size()).0];
        *(pointer as *mut usize) = free.get();
        free.set(pointer as usize);
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if new_size > MEMORY_END {
            exit_failure()
        }
        let (class, size) = class_of(layout.size());
        let (new_class, new_block) = class_of(new_size);
        if class == new_class {
            return pointer;
        }
        // The latest block grows where it is.
        if new_block > size && pointer as usize + size == self.next.get() {
            self.reserve(pointer as usize, new_block);
            return pointer;
        }
        let new = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
        core::ptr::copy_nonoverlapping(pointer, new, layout.size().min(new_size));
        self.dealloc(pointer, layout);
        new
    }
}
