// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {BabyBear4} from "./BabyBear4.sol";
import {Context, Memory} from "./Context.sol";
import {Polynomials} from "./Polynomials.sol";
import {Transcript} from "./Transcript.sol";
import {VerifyingKey} from "./generated/VerifyingKey.sol";

/// @title The interactions' fractions sum to zero (openvm-stark-backend, fractional_sumcheck_gkr.rs).
library FractionalSumcheck {
    using BabyBear4 for uint256;

    error SumNotZero();
    error WrongDenominator();
    error WrongLayer(uint256 layer);

    uint256 private constant P_LANES = BabyBear4.P_LANES;

    /// @dev Claims of one layer: numerators and denominators of its two halves.
    struct Layer {
        uint256 numerator0;
        uint256 denominator0;
        uint256 numerator1;
        uint256 denominator1;
    }

    /// @notice Reduces the sum of all fractions to a claim about numerators and one about denominators at a point xi.
    function verify(Context memory context) internal pure {
        unchecked {
            Transcript.requireWork(context, VerifyingKey.LOGUP_WORK);
            context.alpha = Transcript.sample(context);
            context.beta = Transcript.sample(context);
            uint256 layers = context.layers;
            uint256 global = VerifyingKey.SKIP + context.maxVariables;
            if (global < layers) global = layers;
            uint256 xi = Memory.allocate(global);
            context.xi = xi;
            uint256 root = BabyBear4.load(Transcript.observe(context, 16));
            Layer memory layer = readLayer(context);
            if (crossNumerator(layer) != 0) revert SumNotZero();
            if (layer.denominator0.mul(layer.denominator1) != root) revert WrongDenominator();
            Memory.store(xi, 0, choose(context, layer));
            for (uint256 round = 1; round < layers; ++round) {
                uint256 lambda = Transcript.sample(context);
                uint256 claim = (context.denominator.mul(lambda) + context.numerator).reduce();
                uint256 kernel = 1;
                for (uint256 i; i < round; ++i) {
                    uint256 place = Transcript.observe(context, 48);
                    uint256 x = Transcript.sample(context);
                    claim = Polynomials.cubic(
                        claim, BabyBear4.load(place), BabyBear4.load(place + 16), BabyBear4.load(place + 32), x
                    );
                    kernel = Polynomials.equal(Memory.load(xi, i), x).mul(kernel);
                    Memory.store(xi, i, x);
                }
                layer = readLayer(context);
                uint256 cross =
                    (layer.denominator0.mul(layer.denominator1).mul(lambda) + crossNumerator(layer)).mul(kernel);
                if (cross != claim) revert WrongLayer(round);
                uint256 mu = choose(context, layer);
                // The point becomes (mu, x_0, x_1, ...).
                for (uint256 i = round; i > 0; --i) {
                    Memory.store(xi, i, Memory.load(xi, i - 1));
                }
                Memory.store(xi, 0, mu);
            }
            for (uint256 i = layers; i < global; ++i) {
                Memory.store(xi, i, Transcript.sample(context));
            }
        }
    }

    function readLayer(Context memory context) private pure returns (Layer memory layer) {
        unchecked {
            uint256 place = Transcript.observe(context, 64);
            layer.numerator0 = BabyBear4.load(place);
            layer.denominator0 = BabyBear4.load(place + 16);
            layer.numerator1 = BabyBear4.load(place + 32);
            layer.denominator1 = BabyBear4.load(place + 48);
        }
    }

    function crossNumerator(Layer memory layer) private pure returns (uint256) {
        unchecked {
            return (layer.numerator0.mul(layer.denominator1) + layer.numerator1.mul(layer.denominator0)).reduce();
        }
    }

    /// @dev Takes the claims between the layer's halves, at a challenge, which is returned.
    function choose(Context memory context, Layer memory layer) private pure returns (uint256 mu) {
        unchecked {
            mu = Transcript.sample(context);
            context.numerator =
                ((layer.numerator1 + P_LANES - layer.numerator0).mul(mu) + layer.numerator0).reduce();
            context.denominator =
                ((layer.denominator1 + P_LANES - layer.denominator0).mul(mu) + layer.denominator0).reduce();
        }
    }
}
