// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title The field BabyBear, integers modulo p = 2^31 - 2^27 + 1, and its quartic extension by X^4 = 11.
/// @notice An element c0 + c1 X + c2 X^2 + c3 X^3 is one word of four lanes of 64 bits, c0 the lowest. A lane may hold any
/// number that is congruent to its coefficient; bounds are said at each function:
/// - "reduced": every lane is below p;
/// - "tight": every lane is below 2^32, such as a sum of two reduced elements;
/// - "loose": every lane is below 2^41, such as a sum of a thousand reduced elements.
/// A base field element is a word below p, which is also the extension's element.
///
/// A word is the element's polynomial at X = 2^64, and 2^256 = 11 modulo 2^256 - 11, as X^4 = 11: so `mulmod` by 2^256 - 11
/// multiplies polynomials modulo X^4 - 11, as long as no lane of the product overflows.
library BabyBear4 {
    uint256 internal constant P = 0x78000001;
    /// @dev p in every lane.
    uint256 internal constant P_LANES = 0x0000000078000001000000007800000100000000780000010000000078000001;
    uint256 internal constant LANE = 0xffffffffffffffff;
    uint256 internal constant LOW_16 = 0x000000000000ffff000000000000ffff000000000000ffff000000000000ffff;
    uint256 internal constant LOW_32 = 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
    uint256 internal constant LOW_43 = 0x000007ffffffffff000007ffffffffff000007ffffffffff000007ffffffffff;
    uint256 internal constant LOW_48 = 0x0000ffffffffffff0000ffffffffffff0000ffffffffffff0000ffffffffffff;
    uint256 internal constant LOW_21 = 0x00000000001fffff00000000001fffff00000000001fffff00000000001fffff;
    /// @dev The lower 32 bits of both halves.
    uint256 internal constant PAIRS = 0x000000000000000000000000ffffffff000000000000000000000000ffffffff;
    /// @dev 2^43 modulo p, below 2^27.
    uint256 internal constant TWO_TO_43 = 0x7ffeeef;
    /// @dev 2^256 - 11, in assembly not(10).
    uint256 internal constant RING = type(uint256).max - 10;

    /// @notice The product of a loose and a tight element, reduced: `finish` of products with its halves.
    function mul(uint256 loose, uint256 tight) internal pure returns (uint256 y) {
        assembly ("memory-safe") {
            let high := mulmod(loose, and(shr(16, tight), LOW_48), not(10))
            y := add(
                mulmod(loose, and(tight, LOW_16), not(10)),
                shl(16, add(mul(and(shr(43, high), LOW_21), TWO_TO_43), and(high, LOW_43)))
            )
            y := or(
                or(mod(and(y, LANE), P), shl(64, mod(and(shr(64, y), LANE), P))),
                or(shl(128, mod(and(shr(128, y), LANE), P)), shl(192, mod(shr(192, y), P)))
            )
        }
    }

    /// @notice As `mul`, by an element that `split` has split.
    function mulSplit(uint256 loose, uint256 low, uint256 high) internal pure returns (uint256 y) {
        assembly ("memory-safe") {
            high := mulmod(loose, high, not(10))
            y := add(
                mulmod(loose, low, not(10)),
                shl(16, add(mul(and(shr(43, high), LOW_21), TWO_TO_43), and(high, LOW_43)))
            )
            y := or(
                or(mod(and(y, LANE), P), shl(64, mod(and(shr(64, y), LANE), P))),
                or(shl(128, mod(and(shr(128, y), LANE), P)), shl(192, mod(shr(192, y), P)))
            )
        }
    }

    /// @notice Lower and higher 16 bits of every lane of a tight element.
    function split(uint256 tight) internal pure returns (uint256 low, uint256 high) {
        unchecked {
            low = tight & LOW_16;
            high = (tight >> 16) & LOW_48;
        }
    }

    /// @notice low + 2^16 high, reduced: both are sums of products of loose elements with halves of tight ones.
    /// @dev If the loose elements' lanes add up to at most 2^41, lanes of both sums are below 34 * 2^41 * 2^16 < 2^62.1:
    /// coefficient 0 is one product and 11 times three. Then high = 2^43 h + l has h < 2^19.1, so h (2^43 mod p) + l < 2^46.3,
    /// and with 16 bits more < 2^62.3; with low it is below 2^64.
    function finish(uint256 low, uint256 high) internal pure returns (uint256) {
        unchecked {
            return reduce(low + ((((high >> 43) & LOW_21) * TWO_TO_43 + (high & LOW_43)) << 16));
        }
    }

    /// @notice Every lane modulo p, whatever it holds.
    function reduce(uint256 x) internal pure returns (uint256 y) {
        assembly ("memory-safe") {
            y := x
            y := or(
                or(mod(and(y, LANE), P), shl(64, mod(and(shr(64, y), LANE), P))),
                or(shl(128, mod(and(shr(128, y), LANE), P)), shl(192, mod(shr(192, y), P)))
            )
        }
    }

    /// @notice The product of a tight element and a base field element, reduced: lanes of it are below 2^63.
    function scale(uint256 tight, uint256 base) internal pure returns (uint256 y) {
        assembly ("memory-safe") {
            y := mul(tight, base)
            y := or(
                or(mod(and(y, LANE), P), shl(64, mod(and(shr(64, y), LANE), P))),
                or(shl(128, mod(and(shr(128, y), LANE), P)), shl(192, mod(shr(192, y), P)))
            )
        }
    }

    /// @notice 1 - x, reduced or p, of a reduced x.
    function oneMinus(uint256 x) internal pure returns (uint256) {
        unchecked {
            return P_LANES + 1 - x;
        }
    }

    /// @notice The element of 16 bytes: four coefficients of four bytes, big-endian, the constant one first.
    function fromWord(uint256 word) internal pure returns (uint256 x) {
        unchecked {
            x = (word >> 64) | ((word & LANE) << 128);
            x = ((x >> 32) & PAIRS) | ((x & PAIRS) << 64);
        }
    }

    /// @notice The element at an offset of the calldata, whose bytes were checked.
    function load(uint256 offset) internal pure returns (uint256) {
        uint256 word;
        assembly ("memory-safe") {
            word := shr(128, calldataload(offset))
        }
        return fromWord(word);
    }

    /// @notice A base field element to the power of 2^`squarings`.
    function power2(uint256 base, uint256 squarings) internal pure returns (uint256) {
        unchecked {
            for (; squarings > 0; --squarings) {
                base = mulmod(base, base, P);
            }
            return base;
        }
    }

    /// @notice A base field element to a power.
    function power(uint256 base, uint256 exponent) internal pure returns (uint256 result) {
        unchecked {
            result = 1;
            for (; exponent > 0; exponent >>= 1) {
                if (exponent & 1 == 1) result = mulmod(result, base, P);
                base = mulmod(base, base, P);
            }
        }
    }
}
