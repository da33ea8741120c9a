// SPDX-License-Identifier: Apache-2.0
// Written by crates/prover/src/bin/generate-verifier.rs: don't edit.
pragma solidity ^0.8.30;

/// @title What the verifier knows of the verifying key.
library VerifyingKey {
    /// @dev Hash of the verifying key, the first thing observed.
    uint256 internal constant PRE_HASH = 0xf4f39ad535e8e4a4d020572101941644b987874f6ba069e62494f056fdc5a7f7;
    /// @dev AIRs of the machine.
    uint256 internal constant AIRS = 23;
    /// @dev Log2 of the rows that the univariate skip takes together.
    uint256 internal constant SKIP = 4;
    /// @dev Variables of a stacked column above the skip.
    uint256 internal constant N_STACK = 16;
    /// @dev Most columns that all traces may fill when stacked.
    uint256 internal constant MAX_WIDTH = 64;
    /// @dev Variables folded in a round.
    uint256 internal constant FOLDING = 4;
    /// @dev Rounds of folding.
    uint256 internal constant ROUNDS = 4;
    /// @dev Log2 of the last polynomial's length.
    uint256 internal constant LOG_FINAL = 4;
    /// @dev Degree of the constraints' sumcheck.
    uint256 internal constant DEGREE = 4;
    /// @dev Queries of all rounds.
    uint256 internal constant TOTAL_QUERIES = 122;
    /// @dev Bits of work before the interactions' challenges.
    uint256 internal constant LOGUP_WORK = 21;
    /// @dev Bits of work before openings are batched.
    uint256 internal constant BATCHING_WORK = 20;
    /// @dev Bits of work before each folding.
    uint256 internal constant FOLDING_WORK = 22;
    /// @dev Bits of work before queries.
    uint256 internal constant QUERY_WORK = 20;
    /// @dev Most constraints of an AIR.
    uint256 internal constant MAX_CONSTRAINTS = 282;
    /// @dev Longest message of an interaction, with its bus.
    uint256 internal constant MAX_MESSAGE = 25;
    /// @dev Most interactions of an AIR.
    uint256 internal constant MAX_INTERACTIONS = 25;
    /// @dev Openings of all AIRs.
    uint256 internal constant OPENINGS = 985;
    /// @dev Most openings and public values of an AIR.
    uint256 internal constant MAX_OPENINGS = 300;
    /// @dev Most bytes of a proof before its openings.
    uint256 internal constant CONSTRAINT_BYTES = 42224;
    /// @dev Words that a proof's head can have.
    uint256 internal constant HEAD_WORDS = 35;
    /// @dev Columns of all AIRs.
    uint256 internal constant COLUMNS = 889;
    /// @dev Linear constraints on heights.
    uint256 internal constant HEIGHT_CONSTRAINTS = 1;
    /// @dev 1/6.
    uint256 internal constant SIXTH = 1677721601;
    /// @dev 1/2.
    uint256 internal constant HALF = 1006632961;
    /// @dev 1/2^FOLDING.
    uint256 internal constant FOLDING_INVERSE = 1887436801;
    /// @dev 1/2^SKIP.
    uint256 internal constant SKIP_INVERSE = 1887436801;
    /// @dev Generator of the skip domain, of order 2^SKIP.
    uint256 internal constant SKIP_ROOT = 196396260;
    /// @dev Its inverse.
    uint256 internal constant SKIP_ROOT_INVERSE = 567209306;
    /// @dev Generator of a folded coset's subgroup, inverted.
    uint256 internal constant FOLDING_ROOT_INVERSE = 567209306;
    /// @dev Log2 of the first code's length.
    uint256 internal constant LOG_DOMAIN = 24;
    /// @dev Generator of the first code's domain.
    uint256 internal constant DOMAIN_ROOT = 1003846038;
    /// @dev Each AIR in one word, see ProofShape.sol.
    bytes internal constant DESCRIPTORS =
        hex"000000000000000000000100000000000100020100000000000000090000000100000000000000000000010001000400"
        hex"050003000000000000000000000000060000000000000000000001000200000004000200000000000000000000000015"
        hex"000000000000000000000100030010000400030000000000000000000000002100000000000000000000010004000000"
        hex"1900000000000000000000000000003b0000000000000000000001000500000018000000000000000000000000000027"
        hex"000000000000000000000100060000001300000000000000000000000000001f00000000000000000000010007000000"
        hex"010001000000000000000000000000030000000000000000000001000800000012000100000000000000000000000020"
        hex"000000000000000000000100090000000c0000000000000000000000000000140000000000000000000001000a000000"
        hex"1000000000000000000000000000001c0000000000000000000001000b0000000a000000000000000000000000000012"
        hex"0000000000000000000001000c0000000d0000000000000000000000000000200000000000000000000001000d000000"
        hex"0b00000000000000000000000000001a0000000000000000000001000e00000012000000000000000000000000000024"
        hex"0000000000000000000001000f0000001100000000000000000000000000002900000000000000000000010010000000"
        hex"180000000000000000000000000000350000000000000000000001001100000012000000000000000000000000000025"
        hex"000000000000000000000100120000001400000000000000000000000000002400000000000000000000010013000000"
        hex"020001000000000000000000000000120000000000000000000001001400000003000000000000000000000000000006"
        hex"000000000000000000000200150000000100000000000000000000000000012c00000000000000000000010017000000"
        hex"01000100000000000000000000000004";
    /// @dev Commitments of preprocessed parts, by AIR.
    bytes internal constant PREPROCESSED =
        hex"";
    /// @dev For each constraint on heights the coefficients of all AIRs and the threshold, four bytes each.
    bytes internal constant HEIGHTS =
        hex"0000000100000005000000040000000400000019000000180000001300000001000000120000000c000000100000000a"
        hex"0000000d0000000b00000012000000110000001800000012000000140000000200000003000000010000000178000001";
    /// @dev 1 / (i! (DEGREE - i)!), four bytes each: for interpolation at 0 to DEGREE.
    bytes internal constant WEIGHTS =
        hex"73000001640000015a0000016400000173000001";
    /// @dev Queries of each round, one byte each.
    bytes internal constant QUERIES =
        hex"3b1d130f";
}
