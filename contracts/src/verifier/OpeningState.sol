// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {VerifyingKey} from "./generated/VerifyingKey.sol";

/// @title Words that a verification carries from one part to the next: where each is.
/// @dev After the first round nothing is left of `VARIABLE` on.
library OpeningState {
    /// @dev Hash of the proof's head, the transcript's state, and the number of the next round.
    uint256 internal constant HEAD = 0;
    uint256 internal constant TRANSCRIPT = 1;
    uint256 internal constant ROUND = 2;
    /// @dev Claim of the running folding, and root of the codeword that is queried next.
    uint256 internal constant CLAIM = 3;
    uint256 internal constant ROOT = 4;
    /// @dev The point at which stacked columns are opened.
    uint256 internal constant U = 5;
    /// @dev Of each round its batching challenge, its out-of-domain point, its folding challenges, and the queried points.
    uint256 internal constant GAMMAS = U + VerifyingKey.N_STACK + 1;
    uint256 internal constant OUTSIDE = GAMMAS + VerifyingKey.ROUNDS;
    uint256 internal constant ALPHAS = OUTSIDE + VerifyingKey.ROUNDS;
    uint256 internal constant POINTS = ALPHAS + VerifyingKey.ROUNDS * VerifyingKey.FOLDING;
    /// @dev For the first round: the challenge that batches stacked columns, how many commitments there are, and for each its
    /// root and its width.
    uint256 internal constant VARIABLE = POINTS + VerifyingKey.TOTAL_QUERIES;
    /// @dev Before the first round there is nothing between, and these words are here: calldata is dear.
    uint256 internal constant FIRST = GAMMAS;
}
