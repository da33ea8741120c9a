// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Recovery, RecoveryList} from "../src/libraries/RecoveryList.sol";
import {ProvenStatement, Statement, Verdict} from "../src/libraries/Statement.sol";
import {StatementFixtures} from "./fixtures/StatementFixtures.sol";
import {TestBase} from "./support/TestBase.sol";

/// @dev The library behind calls, so that lists are calldata and reverts can be expected.
contract RecoveryChecker {
    function check(Recovery[] calldata list) external pure returns (bytes32) {
        return RecoveryList.check(list);
    }

    function hash(ProvenStatement calldata value) external pure returns (bytes32) {
        return Statement.hash(value);
    }
}

contract StatementTest is TestBase {
    /// @dev Half of secp256k1's order lies below; the order itself.
    uint256 private constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    RecoveryChecker private checker;

    function setUp() public {
        checker = new RecoveryChecker();
    }

    function test_I8_hashes_are_the_guests() public view {
        uint256 invalid;
        uint256 withRecoveries;
        for (uint256 index; index < StatementFixtures.COUNT; ++index) {
            (ProvenStatement memory value, bytes32 hash) = StatementFixtures.statement(index);
            assertEq(checker.hash(value), hash, "statement");
            Recovery[] memory list = StatementFixtures.recoveries(index);
            assertEq(checker.check(list), value.recoveriesHash, "recoveries");
            if (value.verdict == Verdict.Invalid) {
                ++invalid;
                assertEq(value.resultHash | value.inboxHash, bytes32(0), "nothing is said of an invalid block");
                assertEq(value.toNumber | value.toTimestamp, 0, "nothing is said of an invalid block");
            }
            if (list.length > 0) ++withRecoveries;
        }
        assertTrue(invalid >= 2 && withRecoveries >= 3, "fixtures of every kind");
    }

    function test_I8_every_member_is_bound() public view {
        (ProvenStatement memory value, bytes32 hash) = StatementFixtures.statement(2);
        bytes32 other = keccak256("other");
        for (uint256 member; member < 10; ++member) {
            (ProvenStatement memory changed,) = StatementFixtures.statement(2);
            if (member == 0) changed.configHash = other;
            if (member == 1) changed.fromHash = other;
            if (member == 2) changed.toHash = other;
            if (member == 3) changed.verdict = Verdict.Invalid;
            if (member == 4) changed.resultHash = other;
            if (member == 5) changed.inboxHash = other;
            if (member == 6) changed.toNumber = value.toNumber + 1;
            if (member == 7) changed.toTimestamp = value.toTimestamp + 1;
            if (member == 8) changed.recoveriesHash = other;
            if (member == 9) changed.prover = address(this);
            assertTrue(checker.hash(changed) != hash, "another statement");
        }
    }

    function test_a_statement_needs_a_verdict() public {
        (ProvenStatement memory value,) = StatementFixtures.statement(0);
        value.verdict = Verdict.None;
        vm.expectRevert(Statement.NoVerdict.selector);
        checker.hash(value);
    }

    function test_I1_a_wrong_recovery_is_refused() public {
        Recovery[] memory list = StatementFixtures.recoveries(2);
        for (uint256 index; index < list.length; ++index) {
            for (uint256 kind; kind < 6; ++kind) {
                Recovery[] memory changed = StatementFixtures.recoveries(2);
                Recovery memory item = changed[index];
                if (kind == 0) item.signer = address(0);
                if (kind == 1) item.signer = address(uint160(item.signer) ^ 1);
                if (kind == 2) item.hash = ~item.hash;
                if (kind == 3) item.v = 55 - item.v;
                if (kind == 4) item.r = bytes32(uint256(item.r) ^ 1);
                if (kind == 5) item.s = bytes32(uint256(item.s) ^ 1);
                vm.expectPartialRevert(RecoveryList.WrongSigner.selector);
                checker.check(changed);
            }
        }
    }

    function test_v_is_27_or_28() public {
        uint256[5] memory values = [uint256(0), 1, 26, 29, 27 + 256];
        for (uint256 index; index < values.length; ++index) {
            Recovery[] memory list = StatementFixtures.recoveries(2);
            list[1].v = values[index];
            list[1].signer = address(0);
            vm.expectRevert(abi.encodeWithSelector(RecoveryList.InvalidV.selector, 1, values[index]));
            checker.check(list);
        }
    }

    function test_a_list_is_bounded() public {
        Recovery memory item = StatementFixtures.recoveries(2)[0];
        Recovery[] memory list = new Recovery[](RecoveryList.LIMIT);
        for (uint256 index; index < list.length; ++index) list[index] = item;
        uint256 before = gasleft();
        checker.check(list);
        assertTrue(before - gasleft() < 3_000_000, "the longest list fits into a transaction many times");
        Recovery[] memory longer = new Recovery[](RecoveryList.LIMIT + 1);
        uint256 limit = RecoveryList.LIMIT;
        vm.expectRevert(abi.encodeWithSelector(RecoveryList.TooManyRecoveries.selector, limit + 1, limit));
        checker.check(longer);
    }

    /// @dev With little gas the precompile fails; that must not count as "nobody signed".
    function test_I1_little_gas_does_not_make_a_signer_vanish(uint256 gasLimit) public view {
        Recovery[] memory list = new Recovery[](1);
        list[0] = StatementFixtures.recoveries(2)[0];
        list[0].signer = address(0);
        bytes memory data = abi.encodeCall(RecoveryChecker.check, (list));
        (bool success,) = address(checker).staticcall{gas: bound(gasLimit, 0, 20_000)}(data);
        assertTrue(!success, "a false recovery is never accepted");
    }

    function test_any_key_s_signature_is_recovered(uint256 key, bytes32 digest) public {
        key = bound(key, 1, ORDER - 2);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        Recovery[] memory list = new Recovery[](2);
        list[0] = Recovery(digest, v, r, s, vm.addr(key));
        // What the precompile takes and transactions don't: the other value of s.
        list[1] = Recovery(digest, 55 - v, r, bytes32(ORDER - uint256(s)), vm.addr(key));
        assertEq(checker.check(list), keccak256(_words(list)), "hash of the words");
    }

    function _words(Recovery[] memory list) private pure returns (bytes memory words) {
        for (uint256 index; index < list.length; ++index) words = bytes.concat(words, abi.encode(list[index]));
    }
}
