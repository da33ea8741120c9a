//! The zkVM guest: reads an encoded `stf::GuestInput`, judges the blocks in it and reveals the hash of the statement
//! that holds. It ends with exit code 0 only if there is one. Built by `scripts/build-guest`.
#![no_std]
#![no_main]

extern crate alloc;

mod keccak;
mod memory;
mod zkvm;

use alloy_primitives::Bytes;

#[no_mangle]
extern "C" fn guest_main() -> ! {
    match stf::guest_entry(&Bytes::from_static(zkvm::read_input())) {
        Ok(statement) => {
            zkvm::reveal(&statement.hash().0);
            zkvm::exit_success()
        }
        Err(_) => zkvm::exit_failure(),
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    zkvm::exit_failure()
}
