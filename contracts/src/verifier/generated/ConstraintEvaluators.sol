// SPDX-License-Identifier: Apache-2.0
// Written by `exclave-prover generate`: don't edit.
pragma solidity ^0.8.30;

import {Memory} from "../Context.sol";

/// @title The constraint evaluators' addresses.
abstract contract ConstraintEvaluators {
    error WrongNumberOfEvaluators(uint256 given);

    uint256 internal constant EVALUATORS = 15;

    address private immutable _EVALUATOR_0;
    address private immutable _EVALUATOR_1;
    address private immutable _EVALUATOR_2;
    address private immutable _EVALUATOR_3;
    address private immutable _EVALUATOR_4;
    address private immutable _EVALUATOR_5;
    address private immutable _EVALUATOR_6;
    address private immutable _EVALUATOR_7;
    address private immutable _EVALUATOR_8;
    address private immutable _EVALUATOR_9;
    address private immutable _EVALUATOR_10;
    address private immutable _EVALUATOR_11;
    address private immutable _EVALUATOR_12;
    address private immutable _EVALUATOR_13;
    address private immutable _EVALUATOR_14;

    constructor(address[] memory evaluators) {
        if (evaluators.length != EVALUATORS) revert WrongNumberOfEvaluators(evaluators.length);
        _EVALUATOR_0 = evaluators[0];
        _EVALUATOR_1 = evaluators[1];
        _EVALUATOR_2 = evaluators[2];
        _EVALUATOR_3 = evaluators[3];
        _EVALUATOR_4 = evaluators[4];
        _EVALUATOR_5 = evaluators[5];
        _EVALUATOR_6 = evaluators[6];
        _EVALUATOR_7 = evaluators[7];
        _EVALUATOR_8 = evaluators[8];
        _EVALUATOR_9 = evaluators[9];
        _EVALUATOR_10 = evaluators[10];
        _EVALUATOR_11 = evaluators[11];
        _EVALUATOR_12 = evaluators[12];
        _EVALUATOR_13 = evaluators[13];
        _EVALUATOR_14 = evaluators[14];
    }

    /// @notice A pointer to the evaluator of each unit.
    function evaluatorsOfUnits() internal view returns (uint256 list) {
        list = Memory.allocate(43);
        {
            address evaluator = _EVALUATOR_0;
            Memory.store(list, 0, uint160(evaluator));
            Memory.store(list, 1, uint160(evaluator));
            Memory.store(list, 2, uint160(evaluator));
        }
        {
            address evaluator = _EVALUATOR_1;
            Memory.store(list, 3, uint160(evaluator));
            Memory.store(list, 4, uint160(evaluator));
            Memory.store(list, 5, uint160(evaluator));
            Memory.store(list, 6, uint160(evaluator));
        }
        {
            address evaluator = _EVALUATOR_2;
            Memory.store(list, 7, uint160(evaluator));
            Memory.store(list, 8, uint160(evaluator));
            Memory.store(list, 9, uint160(evaluator));
            Memory.store(list, 10, uint160(evaluator));
            Memory.store(list, 11, uint160(evaluator));
        }
        {
            address evaluator = _EVALUATOR_3;
            Memory.store(list, 12, uint160(evaluator));
            Memory.store(list, 13, uint160(evaluator));
            Memory.store(list, 14, uint160(evaluator));
        }
        {
            address evaluator = _EVALUATOR_4;
            Memory.store(list, 15, uint160(evaluator));
            Memory.store(list, 16, uint160(evaluator));
        }
        {
            address evaluator = _EVALUATOR_5;
            Memory.store(list, 17, uint160(evaluator));
        }
        {
            address evaluator = _EVALUATOR_6;
            Memory.store(list, 18, uint160(evaluator));
        }
        {
            address evaluator = _EVALUATOR_7;
            Memory.store(list, 19, uint160(evaluator));
            Memory.store(list, 20, uint160(evaluator));
            Memory.store(list, 21, uint160(evaluator));
            Memory.store(list, 22, uint160(evaluator));
        }
        {
            address evaluator = _EVALUATOR_8;
            Memory.store(list, 23, uint160(evaluator));
            Memory.store(list, 24, uint160(evaluator));
            Memory.store(list, 25, uint160(evaluator));
            Memory.store(list, 26, uint160(evaluator));
        }
        {
            address evaluator = _EVALUATOR_9;
            Memory.store(list, 27, uint160(evaluator));
            Memory.store(list, 28, uint160(evaluator));
        }
        {
            address evaluator = _EVALUATOR_10;
            Memory.store(list, 29, uint160(evaluator));
            Memory.store(list, 30, uint160(evaluator));
        }
        {
            address evaluator = _EVALUATOR_11;
            Memory.store(list, 31, uint160(evaluator));
            Memory.store(list, 32, uint160(evaluator));
            Memory.store(list, 33, uint160(evaluator));
        }
        {
            address evaluator = _EVALUATOR_12;
            Memory.store(list, 34, uint160(evaluator));
            Memory.store(list, 35, uint160(evaluator));
        }
        {
            address evaluator = _EVALUATOR_13;
            Memory.store(list, 36, uint160(evaluator));
            Memory.store(list, 37, uint160(evaluator));
            Memory.store(list, 38, uint160(evaluator));
            Memory.store(list, 39, uint160(evaluator));
        }
        {
            address evaluator = _EVALUATOR_14;
            Memory.store(list, 40, uint160(evaluator));
            Memory.store(list, 41, uint160(evaluator));
            Memory.store(list, 42, uint160(evaluator));
        }
    }
}
