//! The guest's heap. The program is short-lived and single-threaded, so memory is handed out upwards; only the latest
//! allocation can be freed or grow in place, which is what vectors under construction need.

use crate::zkvm::exit_failure;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;

/// Bytes of memory that the machine has.
const MEMORY_END: usize = 1 << 29;

struct BumpAllocator {
    /// Address of the next free byte; 0 before the first allocation.
    next: Cell<usize>,
}

// SAFETY: the machine has one thread.
unsafe impl Sync for BumpAllocator {}

#[global_allocator]
static ALLOCATOR: BumpAllocator = BumpAllocator { next: Cell::new(0) };

extern "C" {
    /// End of the program, from link.ld.
    static _end: u8;
}

impl BumpAllocator {
    fn reserve(&self, start: usize, size: usize) {
        match start.checked_add(size) {
            Some(end) if end <= MEMORY_END => self.next.set(end),
            _ => exit_failure(),
        }
    }
}

// SAFETY: allocations don't overlap, lie between the program's end and the memory's, and are aligned.
unsafe impl GlobalAlloc for BumpAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let next = match self.next.get() {
            0 => core::ptr::addr_of!(_end) as usize,
            next => next,
        };
        let start = next.next_multiple_of(layout.align());
        self.reserve(start, layout.size());
        start as *mut u8
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if pointer as usize + layout.size() == self.next.get() {
            self.next.set(pointer as usize);
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if pointer as usize + layout.size() == self.next.get() {
            self.reserve(pointer as usize, new_size);
            return pointer;
        }
        let new = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
        core::ptr::copy_nonoverlapping(pointer, new, layout.size().min(new_size));
        new
    }
}
