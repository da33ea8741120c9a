// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Context, Memory} from "./Context.sol";
import {VerifyingKey} from "./generated/VerifyingKey.sol";
import {OpeningState} from "./OpeningState.sol";
import {Transcript} from "./Transcript.sol";
import {Whir} from "./Whir.sol";

/// @title The second part of a verification: the openings of what was committed, in rounds.
contract OpeningVerifier {
    error TooManyRounds(uint256 rounds);
    error WrongLength(uint256 read, uint256 given);

    /// @notice Verifies some rounds; reverts if one isn't valid or if bytes are left over.
    /// @param state What ConstraintVerifier or the rounds before gave. It is believed.
    /// @param proof The proof's bytes for these rounds.
    /// @param rounds How many, at least one.
    /// @return newState Its ROUND word is VerifyingKey.ROUNDS when the proof is verified.
    function verify(bytes calldata state, bytes calldata proof, uint256 rounds)
        external
        pure
        returns (bytes memory newState)
    {
        newState = widened(state);
        uint256 list = Memory.pointerOf(newState);
        uint256 first = Memory.load(list, OpeningState.ROUND);
        if (rounds == 0 || rounds > VerifyingKey.ROUNDS - first) revert TooManyRounds(rounds);
        Context memory context;
        uint256 start;
        assembly ("memory-safe") {
            start := proof.offset
        }
        context.offset = start;
        context.transcript = Memory.allocate(3 + (1 << VerifyingKey.LOG_FINAL));
        Memory.store(context.transcript, 0, Memory.load(list, OpeningState.TRANSCRIPT));
        unchecked {
            for (uint256 i; i < rounds; ++i) {
                Whir.verify(context, list, first + i);
            }
            if (context.offset - start != proof.length) revert WrongLength(context.offset - start, proof.length);
        }
        Memory.store(list, OpeningState.TRANSCRIPT, Memory.load(context.transcript, 0));
        uint256 size = 32 * OpeningState.VARIABLE;
        // The first round's own words aren't needed any more.
        assembly ("memory-safe") {
            mstore(newState, size)
        }
    }

    /// @dev With room for what the rounds add.
    function widened(bytes calldata state) private pure returns (bytes memory) {
        if (uint256(bytes32(state[32 * OpeningState.ROUND:])) > 0) return state;
        uint256 first = 32 * OpeningState.FIRST;
        bytes memory room = new bytes(32 * (OpeningState.VARIABLE - OpeningState.FIRST));
        return bytes.concat(state[:first], room, state[first:]);
    }
}
