// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {BabyBear4} from "./BabyBear4.sol";
import {VerifyingKey} from "./generated/VerifyingKey.sol";

/// @title Polynomials of few coefficients, and kernels of products of domains (openvm-stark-backend, poly_common.rs).
/// @dev Multiples of p in comments and in code are per lane and keep differences from becoming negative. All arguments are
/// reduced, all results as well, unless said otherwise.
library Polynomials {
    using BabyBear4 for uint256;

    uint256 private constant P_LANES = BabyBear4.P_LANES;

    /// @notice The value at `x` of the cubic polynomial with values `sum - value1`, value1, value2, value3 at 0, 1, 2, 3.
    /// @dev Six times the polynomial has integer coefficients of the values. With e0 below 2p: c3 is below 9p, c2 below 42p,
    /// c1 below 51p, c0 below 12p, so that everything multiplied is loose.
    function cubic(uint256 sum, uint256 value1, uint256 value2, uint256 value3, uint256 x) internal pure returns (uint256 y) {
        unchecked {
            uint256 value0 = sum + P_LANES - value1;
            (uint256 low, uint256 high) = x.split();
            y = value3 + 3 * value1 + 5 * P_LANES - 3 * value2 - value0;
            y = y.mulSplit(low, high) + 12 * value2 + 6 * value0 + 18 * P_LANES - 3 * value3 - 15 * value1;
            y = y.mulSplit(low, high) + 2 * value3 + 18 * value1 + 31 * P_LANES - 9 * value2 - 11 * value0;
            y = y.mulSplit(low, high) + 6 * value0;
            return y.mul(VerifyingKey.SIXTH);
        }
    }

    /// @notice The value at `x` of the quadratic polynomial with values `sum - value1`, value1, value2 at 0, 1, 2.
    /// @dev Twice the polynomial: c2 is below 5p, c1 below 11p, c0 below 4p.
    function quadratic(uint256 sum, uint256 value1, uint256 value2, uint256 x) internal pure returns (uint256 y) {
        unchecked {
            uint256 value0 = sum + P_LANES - value1;
            (uint256 low, uint256 high) = x.split();
            y = value2 + value0 + 2 * P_LANES - 2 * value1;
            y = y.mulSplit(low, high) + 4 * value1 + 7 * P_LANES - value2 - 3 * value0;
            y = y.mulSplit(low, high) + 2 * value0;
            return y.mul(VerifyingKey.HALF);
        }
    }

    /// @notice The value at `x` of the polynomial whose `count` coefficients are at an offset of the calldata.
    function horner(uint256 offset, uint256 count, uint256 x) internal pure returns (uint256 y) {
        (uint256 low, uint256 high) = x.split();
        unchecked {
            for (uint256 place = offset + 16 * count; place > offset;) {
                place -= 16;
                y = y.mulSplit(low, high) + BabyBear4.load(place);
            }
        }
        return y.reduce();
    }

    /// @notice The sum over the skip domain of the polynomial of `count` coefficients at an offset of the calldata.
    /// @dev Powers sum to zero over the domain unless the exponent is a multiple of its order.
    function sumOverSkip(uint256 offset, uint256 count) internal pure returns (uint256 sum) {
        unchecked {
            for (uint256 i; i < count; i += 1 << VerifyingKey.SKIP) {
                sum += BabyBear4.load(offset + 16 * i);
            }
            return sum.reduce().scale(1 << VerifyingKey.SKIP);
        }
    }

    /// @notice x y + (1 - x)(1 - y), loose: below 5p.
    function equal(uint256 x, uint256 y) internal pure returns (uint256) {
        unchecked {
            return 2 * x.mul(y) + 2 * P_LANES + 1 - x - y;
        }
    }

    /// @notice x to the power of 2^`squarings`.
    function power2(uint256 x, uint256 squarings) internal pure returns (uint256) {
        unchecked {
            for (; squarings > 0; --squarings) {
                x = x.mul(x);
            }
            return x;
        }
    }

    /// @notice 1/2^exponent in the base field.
    function halves(uint256 exponent) internal pure returns (uint256) {
        return BabyBear4.power(VerifyingKey.HALF, exponent);
    }

    /// @notice 1 + x + ... + x^(2^log - 1).
    function progression(uint256 x, uint256 log) internal pure returns (uint256 sum) {
        sum = 1;
        unchecked {
            for (; log > 0; --log) {
                sum = (x + 1).mul(sum);
                x = x.mul(x);
            }
        }
    }

    /// @notice The kernel of the domain of order 2^log: 1 at two equal points of it, 0 at two that differ.
    function equalInDomain(uint256 log, uint256 x, uint256 y) internal pure returns (uint256 result) {
        result = 1;
        unchecked {
            for (uint256 i; i < log; ++i) {
                result = (x + y).mul(result) + (x + P_LANES - 1).mul((y + P_LANES - 1));
                result = result.reduce();
                x = x.mul(x);
                y = y.mul(y);
            }
        }
        return result.scale(halves(log));
    }

    /// @notice The kernel at x and 1.
    function equalToOne(uint256 log, uint256 x) internal pure returns (uint256) {
        return progression(x, log).scale(halves(log));
    }
}
