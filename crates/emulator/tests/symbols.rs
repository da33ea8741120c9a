//! What needs the names of the program's functions; run by `scripts/check-guest`, which builds the program with them.

use emulator::{Elf, Machine};
use sha3::{Digest, Keccak256};

fn with_symbols() -> Elf {
    let path = std::env::var("EXCLAVE_GUEST_SYMBOLS").expect("EXCLAVE_GUEST_SYMBOLS is the guest with symbols");
    Elf::parse(&std::fs::read(path).expect("the program can be read")).expect("the program is an ELF")
}

/// Where the tests have what they call functions with, above the program.
const INPUT: u32 = 0x1000_0000;
const OUTPUT: u32 = 0x1100_0000;

/// Bytes that look random and are the same in every run.
fn bytes(length: usize) -> Vec<u8> {
    let blocks = (0..length.div_ceil(32)).map(|index| Keccak256::digest((length * 1000 + index).to_be_bytes()));
    let mut bytes: Vec<u8> = blocks.flatten().collect();
    bytes.truncate(length);
    bytes
}

#[test]
#[ignore = "needs the program's symbols: run by scripts/check-guest"]
fn the_committed_program_has_the_same_code() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../guest/elf/exclave-guest.elf");
    let committed = Elf::parse(&std::fs::read(file).expect("the program is committed")).expect("it is an ELF");
    let with_symbols = with_symbols();
    assert_eq!((committed.entry, committed.segments), (with_symbols.entry, with_symbols.segments));
    assert!(committed.functions.is_empty());
}

#[test]
#[ignore = "needs the program's symbols: run by scripts/check-guest"]
fn keccak_is_keccak() {
    let elf = with_symbols();
    let hash = elf.function("native_keccak256").expect("the program has its symbols");
    let mut machine = Machine::new(&elf, &[]);
    let lengths = (0..=300).chain([1_000, 4_096, 24_576, 100_001]);
    for length in lengths {
        let input = bytes(length);
        let expected = Keccak256::digest(&input);
        for offset in 0..4 {
            machine.write(INPUT + offset, &input).unwrap();
            machine.call(hash, &[INPUT + offset, length as u32, OUTPUT + offset]).unwrap();
            assert_eq!(machine.read(OUTPUT + offset, 32).unwrap(), &expected[..], "{length} bytes at {offset}");
        }
    }
}

#[test]
#[ignore = "needs the program's symbols: run by scripts/check-guest"]
fn copies_fills_and_comparisons_are_those_of_c() {
    let elf = with_symbols();
    let [copy, fill, compare] = ["memcpy", "memset", "memcmp"].map(|name| {
        let function = elf.functions.iter().find(|(function, _)| function == name);
        function.expect("the program has its symbols").1
    });
    let mut machine = Machine::new(&elf, &[]);
    for length in (0..100).chain([127, 128, 129, 1_000, 1_003]) {
        for alignment in 0..16u32 {
            let (from, to) = (INPUT + alignment / 4, OUTPUT + alignment % 4);
            let input = bytes(length);
            // Bytes around the target stay as they are.
            let mut expected = vec![0xa5; length + 16];
            machine.write(to - 8, &expected).unwrap();
            machine.write(from, &input).unwrap();
            machine.call(copy, &[to, from, length as u32]).unwrap();
            assert_eq!(machine.argument(0), to);
            expected[8..8 + length].copy_from_slice(&input);
            assert_eq!(
                machine.read(to - 8, length + 16).unwrap(),
                expected,
                "{length} bytes from {from:#x} to {to:#x}"
            );
            machine.call(compare, &[to, from, length as u32]).unwrap();
            assert_eq!(machine.argument(0), 0);
            for at in [0, length / 2, length.saturating_sub(1)].into_iter().filter(|at| *at < length) {
                let changed = input[at] ^ 0x80;
                machine.write(to + at as u32, &[changed]).unwrap();
                machine.call(compare, &[to, from, length as u32]).unwrap();
                let order = (machine.argument(0) as i32).signum();
                assert_eq!(order, if changed > input[at] { 1 } else { -1 }, "byte {at} of {length}");
                machine.write(to + at as u32, &[input[at]]).unwrap();
            }
            machine.call(fill, &[to, 0x1_3c, length as u32]).unwrap();
            expected[8..8 + length].fill(0x3c);
            assert_eq!(machine.read(to - 8, length + 16).unwrap(), expected, "{length} bytes at {to:#x}");
        }
    }
}
