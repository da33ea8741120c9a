// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {BabyBear4} from "../src/verifier/BabyBear4.sol";
import {ConstraintEvaluators} from "../src/verifier/generated/ConstraintEvaluators.sol";
import {VerifyingKey} from "../src/verifier/generated/VerifyingKey.sol";
import {Memory} from "../src/verifier/Context.sol";
import {Trace} from "../src/verifier/ProofShape.sol";
import {Transcript} from "../src/verifier/Transcript.sol";
import {TestBase} from "./support/TestBase.sol";

contract Evaluators is ConstraintEvaluators {
    constructor(address[] memory evaluators) ConstraintEvaluators(evaluators) {}

    function evaluatorOf(uint256 unit) external view returns (address) {
        return address(uint160(Memory.load(evaluatorsOfUnits(), unit)));
    }
}

/// @dev Every AIR's constraints and interactions at arbitrary inputs, those of crates/prover's `evaluation.rs`.
contract ConstraintEvaluatorsTest is TestBase {
    using BabyBear4 for uint256;
    using Trace for uint256;

    uint256 private constant INTERACTIONS = 1 << 16;
    uint256 private constant PUBLIC_VALUES = 2 << 16;
    uint256 private constant OPENINGS = 3 << 16;

    Evaluators private evaluators;

    function setUp() public {
        address[] memory list = new address[](15);
        for (uint256 i; i < list.length; ++i) {
            string memory name = string.concat("ConstraintEvaluator", toString(i));
            list[i] = vm.deployCode(string.concat(name, ".sol:", name), "");
        }
        evaluators = new Evaluators(list);
    }

    function test_all_airs_are_evaluated_as_natively() public view {
        bytes32[] memory expected =
            vm.parseJsonBytes32Array(vm.readFile("test/fixtures/evaluations.json"), ".sums");
        assertEq(expected.length, 3 * VerifyingKey.AIRS, "AIRs");
        uint256 descriptors = Memory.pointerOf(VerifyingKey.DESCRIPTORS);
        for (uint256 air; air < VerifyingKey.AIRS; ++air) {
            uint256[3] memory sums = evaluate(air, Memory.load(descriptors, air));
            for (uint256 i; i < 3; ++i) {
                assertEq(bytes32(sums[i]), expected[3 * air + i], string.concat("AIR ", toString(air)));
            }
        }
    }

    function test_unknown_units_are_refused() public view {
        (bool success,) = evaluators.evaluatorOf(0).staticcall(abi.encode(type(uint256).max));
        assertTrue(!success, "evaluated");
    }

    function evaluate(uint256 air, uint256 trace) private view returns (uint256[3] memory sums) {
        uint256 first = input(air, 0);
        uint256 last = input(air, 1);
        bytes memory frame = abi.encode(first, last, last.oneMinus().reduce());
        frame = abi.encodePacked(
            frame,
            powers(input(air, 2), VerifyingKey.MAX_CONSTRAINTS),
            powers(input(air, 3), VerifyingKey.MAX_MESSAGE)
        );
        for (uint256 i; i < trace.interactions(); ++i) {
            (uint256 low, uint256 high) = input(air, INTERACTIONS + i).split();
            frame = abi.encodePacked(frame, low, high);
        }
        for (uint256 i; i < trace.publicValues(); ++i) {
            frame = abi.encodePacked(frame, input(air, PUBLIC_VALUES + i) & BabyBear4.LANE);
        }
        uint256 columns = trace.commonWidth();
        for (uint256 part; part < trace.otherParts(); ++part) {
            columns += trace.otherWidth(part);
        }
        for (uint256 i; i < columns * (trace.isRotated() ? 2 : 1); ++i) {
            frame = abi.encodePacked(frame, input(air, OPENINGS + i));
        }
        for (uint256 i; i < trace.units(); ++i) {
            uint256 unit = trace.firstUnit() + i;
            (bool success, bytes memory result) =
                evaluators.evaluatorOf(unit).staticcall(abi.encodePacked(unit, frame));
            assertTrue(success && result.length == 96, "an evaluator failed");
            uint256[3] memory shares = abi.decode(result, (uint256[3]));
            for (uint256 j; j < 3; ++j) {
                sums[j] = (sums[j] + shares[j]).reduce();
            }
        }
    }

    function input(uint256 air, uint256 number) private pure returns (uint256) {
        return Transcript.elementOf(uint256(keccak256(abi.encode(air, number))));
    }

    function powers(uint256 x, uint256 count) private pure returns (bytes memory table) {
        uint256 power = 1;
        for (uint256 i; i < count; ++i) {
            (uint256 low, uint256 high) = power.split();
            table = abi.encodePacked(table, low, high);
            power = power.mul(x);
        }
    }
}
