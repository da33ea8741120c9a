// SPDX-License-Identifier: Apache-2.0
// Written by crates/prover/src/bin/generate-verifier.rs: don't edit.
pragma solidity ^0.8.30;

import {Memory} from "../Context.sol";

/// @title The constraint evaluators' addresses.
abstract contract ConstraintEvaluators {
    error WrongNumberOfEvaluators(uint256 given);

    uint256 internal constant EVALUATORS = 5;

    address private immutable _EVALUATOR_0;
    address private immutable _EVALUATOR_1;
    address private immutable _EVALUATOR_2;
    address private immutable _EVALUATOR_3;
    address private immutable _EVALUATOR_4;

    constructor(address[] memory evaluators) {
        if (evaluators.length != EVALUATORS) revert WrongNumberOfEvaluators(evaluators.length);
        _EVALUATOR_0 = evaluators[0];
        _EVALUATOR_1 = evaluators[1];
        _EVALUATOR_2 = evaluators[2];
        _EVALUATOR_3 = evaluators[3];
        _EVALUATOR_4 = evaluators[4];
    }

    /// @notice A pointer to the evaluator of each unit.
    function evaluatorsOfUnits() internal view returns (uint256 list) {
        list = Memory.allocate(24);
        address evaluator0 = _EVALUATOR_0;
        Memory.store(list, 0, uint160(evaluator0));
        Memory.store(list, 1, uint160(evaluator0));
        Memory.store(list, 2, uint160(evaluator0));
        Memory.store(list, 3, uint160(evaluator0));
        Memory.store(list, 4, uint160(evaluator0));
        Memory.store(list, 5, uint160(evaluator0));
        Memory.store(list, 6, uint160(evaluator0));
        Memory.store(list, 7, uint160(evaluator0));
        address evaluator1 = _EVALUATOR_1;
        Memory.store(list, 8, uint160(evaluator1));
        Memory.store(list, 9, uint160(evaluator1));
        Memory.store(list, 10, uint160(evaluator1));
        Memory.store(list, 11, uint160(evaluator1));
        Memory.store(list, 12, uint160(evaluator1));
        Memory.store(list, 13, uint160(evaluator1));
        Memory.store(list, 14, uint160(evaluator1));
        address evaluator2 = _EVALUATOR_2;
        Memory.store(list, 15, uint160(evaluator2));
        Memory.store(list, 16, uint160(evaluator2));
        Memory.store(list, 17, uint160(evaluator2));
        Memory.store(list, 18, uint160(evaluator2));
        Memory.store(list, 19, uint160(evaluator2));
        Memory.store(list, 20, uint160(evaluator2));
        address evaluator3 = _EVALUATOR_3;
        Memory.store(list, 21, uint160(evaluator3));
        address evaluator4 = _EVALUATOR_4;
        Memory.store(list, 22, uint160(evaluator4));
        Memory.store(list, 23, uint160(evaluator4));
    }
}
