// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {BabyBear4} from "./BabyBear4.sol";
import {Memory} from "./Context.sol";

/// @notice Products of x_i or 1 - x_i for the bits of indices, as EqualityTrees makes them.
struct EqualityTree {
    /// Bits of an index.
    uint256 bits;
    /// For each bit the product over it and all higher ones; that at `bits` is 1.
    uint256 products;
    /// 1 - x_i, in halves: two words for each.
    uint256 complements;
    /// The index last asked for, and its lowest bit that was.
    uint256 index;
    uint256 lowest;
}

/// @title Values of the equality kernel at a point and the corners of a hypercube, where these follow each other.
/// @dev An index follows another when it is that one plus 2^lowest, where `lowest` was the lowest bit asked for. Then the
/// highest bit that changed goes from 0 to 1, and all lower ones are 0: the product at this bit is that above it less the
/// old one, whatever x_i is, and those below are products with 1 - x_i.
library EqualityTrees {
    using BabyBear4 for uint256;

    /// @param points Pointer to `bits` reduced elements x_i.
    function create(uint256 bits, uint256 points) internal pure returns (EqualityTree memory tree) {
        unchecked {
            tree = EqualityTree(bits, Memory.allocate(bits + 1), Memory.allocate(2 * bits), 0, bits);
            Memory.store(tree.products, bits, 1);
            for (uint256 i; i < bits; ++i) {
                (uint256 low, uint256 high) = Memory.load(points, i).oneMinus().split();
                Memory.store(tree.complements, 2 * i, low);
                Memory.store(tree.complements, 2 * i + 1, high);
            }
        }
    }

    /// @notice Makes 0 the next index.
    function restart(EqualityTree memory tree) internal pure {
        tree.index = 0;
        tree.lowest = tree.bits;
    }

    /// @notice The product over bits `lowest` and higher of an index that follows the last one, or is 0 at the start;
    /// `lowest` doesn't grow. Loose: at most bits + 1 times p.
    function productAt(EqualityTree memory tree, uint256 index, uint256 lowest) internal pure returns (uint256 product) {
        unchecked {
            uint256 products = tree.products;
            uint256 bit = tree.lowest;
            uint256 changed = tree.index ^ index;
            if (changed != 0) {
                assembly ("memory-safe") {
                    bit := sub(255, clz(changed))
                }
                // The old product at this bit was for a 0: it came from a multiplication and is reduced.
                product = Memory.load(products, bit + 1) + BabyBear4.P_LANES - Memory.load(products, bit);
                Memory.store(products, bit, product);
            } else {
                product = Memory.load(products, bit);
            }
            uint256 complements = tree.complements;
            while (bit > lowest) {
                --bit;
                product = product.mulSplit(Memory.load(complements, 2 * bit), Memory.load(complements, 2 * bit + 1));
                Memory.store(products, bit, product);
            }
            tree.index = index;
            tree.lowest = lowest;
        }
    }
}
