// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {
    Answered,
    DisputeStatus,
    Evidence,
    Kind,
    LeafName,
    Opening,
    Preconfirmation,
    ShownHash,
    ShownLeaf
} from "./DisputeTypes.sol";
import {IBlockFacts} from "./IBlockFacts.sol";
import {IBondAccounts} from "./IBondAccounts.sol";
import {IOperatorStakes} from "./IOperatorStakes.sol";
import {IRuleBook} from "./IRuleBook.sol";
import {SessionConfig, Terms} from "./Types.sol";

/// @title Disputes about the claims of one ZkRelayer. docs/disputes.md is its specification.
/// @notice Bonds are locked from the caller's deposit here, to which the value sent is added first; payouts go to deposits. Shares of claims' bonds go to
/// deposits in ZkRelayer.
interface IDisputeGame is IBondAccounts, IRuleBook {
    event DisputeOpened(
        uint64 indexed claimId,
        uint32 indexed index,
        Kind indexed kind,
        uint64 number,
        address opener,
        uint256 bond,
        uint256 deadline
    );
    /// @param paid Of the opener's bond, to `answerer`: who brought data, or whom a proof names.
    event DisputeAnswered(
        uint64 indexed claimId, uint32 indexed index, Kind indexed kind, uint64 number, address answerer, uint256 paid
    );
    /// @dev Its opener was right to doubt: the leaf died of another dispute.
    event BondReclaimed(uint64 indexed claimId, uint32 indexed index, Kind indexed kind, uint64 number, address opener);
    /// @notice The block `number` is a valid descendant of the range's first, by a proof.
    event RangeProven(uint64 indexed claimId, uint32 indexed index, uint64 number);
    /// @notice A dispute wasn't answered in time. The claim's bond is lost, no stake.
    event LeafUnproven(uint64 indexed claimId, uint32 indexed index, address winner);
    /// @notice The claim was shown to be wrong: its operator's stake is lost too.
    event LeafProvenWrong(uint64 indexed claimId, uint32 indexed index, address winner);
    /// @notice The claim is of other blocks than those that the operator has signed.
    event LeafContradicted(uint64 indexed claimId, uint32 indexed index, address reporter);

    error WrongClaim(uint64 claimId);
    error WrongLeaf(uint64 claimId, uint32 index);
    error WrongTerms();
    error WrongConfig(uint64 sessionId);
    error WrongHash(uint64 number);
    error WrongNumber(uint64 number);
    error WrongRange(uint64 from, uint64 to);
    error TooLate(uint256 since);
    error TooEarly(uint256 until);
    error LeafDead(uint64 claimId, uint32 index);
    error LeafAlive(uint64 claimId, uint32 index);
    error NothingHeld(uint64 claimId, uint32 index);
    error AlreadyOpened(Kind kind, uint64 number);
    error NotOpen(Kind kind, uint64 number);
    error AlreadyProven(uint64 number);
    error NotCovered(Kind kind, uint64 number);
    error NotWrong();
    error NotContradicted();

    // ---- demands: what nobody but the claimant may know

    /// @notice Demands that a claim's leaf be shown.
    function demandLeaf(LeafName calldata name) external payable;

    /// @notice Demands the block hashes `1024 * position` to `1024 * position + 1023` of a leaf's range, as far as there are.
    function demandHashes(ShownLeaf calldata leaf, uint64 position) external payable;

    /// @notice Demands a block after the range's first: its header and its transactions.
    function demandBlock(ShownLeaf calldata leaf, uint64 number) external payable;

    /// @notice Shows a leaf.
    function answerLeaf(ShownLeaf calldata leaf) external;

    /// @notice Shows hashes.
    /// @param proof That the hashes, padded with zeros to 1,024 leaves, are under the root; empty for a range of up to 1,024 blocks.
    function answerHashes(ShownLeaf calldata leaf, uint64 position, bytes32[] calldata hashes, bytes32[] calldata proof)
        external;

    /// @notice Shows a block. One that is too large for a transaction is answered for by a proof.
    /// @param parent The hash of the block before.
    /// @param header RLP.
    /// @param transactions In EIP-2718 encoding.
    function answerBlock(
        ShownLeaf calldata leaf,
        ShownHash calldata parent,
        ShownHash calldata target,
        bytes calldata header,
        bytes[] calldata transactions
    ) external;

    // ---- challenges and proofs

    /// @notice Demands a proof that the block after `parent` is a valid child of it.
    function challenge(ShownLeaf calldata leaf, ShownHash calldata parent, ShownHash calldata target) external payable;

    /// @notice Brings a valid statement about a range of a leaf's blocks. If what it says of the last of them isn't what the leaf says, the leaf dies;
    /// else it answers disputes.
    /// @param answered Each challenge and block must be the first after `from`, or `from` must itself be known to be a valid descendant of the range's
    /// first block, or be that. Hashes are answered by a proof that is anchored like this and reaches the range's end.
    function prove(
        ShownLeaf calldata leaf,
        Terms calldata terms,
        ShownHash calldata from,
        ShownHash calldata to,
        Evidence calldata evidence,
        Answered calldata answered
    ) external;

    /// @notice Brings an invalid statement about a block of a leaf: the leaf dies.
    function proveFault(
        ShownLeaf calldata leaf,
        Terms calldata terms,
        ShownHash calldata parent,
        ShownHash calldata target,
        Evidence calldata evidence
    ) external;

    // ---- what L1 sees without a proof: the leaf dies

    /// @notice The range has no transition, or its last hash isn't the leaf's.
    /// @param last Not looked at if there is no transition.
    function disproveRange(ShownLeaf calldata leaf, Terms calldata terms, ShownHash calldata last) external;

    /// @notice Block 0 isn't what the session's opening and the leaf's seed make.
    function disproveGenesis(
        ShownLeaf calldata leaf,
        Terms calldata terms,
        SessionConfig calldata config,
        Opening calldata opening,
        ShownHash calldata first
    ) external;

    /// @notice The leaf's seed isn't that of L1's block `openedBlock + 1`.
    /// @param l1Header RLP of that block's header.
    function disproveSeed(
        ShownLeaf calldata leaf,
        Terms calldata terms,
        SessionConfig calldata config,
        bytes calldata l1Header
    ) external;

    /// @notice The session's operator has signed another block. The leaf dies if it still can; if the claim is the operator's, his stake is slashed
    /// whenever that is reported.
    function contradict(
        ShownLeaf calldata leaf,
        Terms calldata terms,
        SessionConfig calldata config,
        ShownHash calldata claimed,
        Preconfirmation calldata signed
    ) external;

    // ---- ends

    /// @notice A dispute that wasn't answered in time kills the leaf. Anyone.
    function resolve(LeafName calldata name, Kind kind, uint64 number) external;

    /// @notice Frees a leaf when all of its disputes were answered and nobody acted on the answers in time. Anyone.
    function release(LeafName calldata name) external;

    /// @notice Gives a dispute's bond back to its opener, once the leaf is dead. Anyone.
    function reclaim(uint64 claimId, uint32 index, Kind kind, uint64 number) external;

    // ---- views

    /// @notice Where operators have their stakes.
    function stakes() external view returns (IOperatorStakes);

    /// @notice Where L1's own block hashes are kept.
    function facts() external view returns (IBlockFacts);

    function disputeOf(uint64 claimId, uint32 index, Kind kind, uint64 number)
        external
        view
        returns (DisputeStatus status, address opener, uint256 deadline);

    /// @return open Disputes that have no answer yet.
    /// @return held Whether it is kept from settling.
    /// @return killed Whether a dispute was won against it.
    /// @return provenTo Up to which block a proof leads from the range's first, 0 if none does.
    /// @return until Until when answers can be acted upon.
    function leafState(uint64 claimId, uint32 index)
        external
        view
        returns (uint256 open, bool held, bool killed, uint64 provenTo, uint256 until);
}
