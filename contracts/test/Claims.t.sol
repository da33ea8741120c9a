// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IZkRelayer} from "../src/interfaces/IZkRelayer.sol";
import {ClaimHeader, SessionConfig, SessionStatus, Settlement, Terms} from "../src/interfaces/Types.sol";
import {ContractPlayer, QuietGame} from "./support/Games.sol";
import {RelayerFixture} from "./support/RelayerFixture.sol";

/// @dev Who may claim: where nobody can dispute a claim, the operator alone.
contract ClaimsTest is RelayerFixture {
    bytes32 private constant CLAIM_TYPEHASH =
        keccak256("Claim(address claimant,bytes32 root,uint32 count,bytes32 termsHash)");
    address private constant STRANGER = address(0x57a4);
    bytes32 private constant ROOT = keccak256("root");

    Terms private terms;

    function setUp() public {
        setUpRelayer();
        terms = defaultTerms();
        terms.disputeGame = address(0);
        vm.deal(STRANGER, 10 ether);
        vm.deal(alice, 10 ether);
    }

    function claimDigest(address claimant, bytes32 root, uint32 count, bytes32 termsHash)
        private
        view
        returns (bytes32)
    {
        return typedDataDigest(keccak256(abi.encode(CLAIM_TYPEHASH, claimant, root, count, termsHash)));
    }

    function signed(uint256 key, bytes32 digest) private returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function claimAs(address claimant, bytes32 root, uint32 count, bytes memory signature) private returns (uint64) {
        vm.prank(claimant);
        return relayer.claim{value: uint256(BOND) * count}(root, count, terms, 0, "data", signature);
    }

    function expectRefused(address claimant, bytes32 root, uint32 count, bytes memory signature) private {
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.NotOperator.selector, claimant));
        claimAs(claimant, root, count, signature);
    }

    /// @dev INVARIANT I1: a stranger's claim of a result of his own would settle, as nobody could dispute it.
    function test_I1_without_disputes_a_stranger_claims_nothing() public {
        SessionConfig memory config = openFrom(address(new QuietGame()), terms, twoPlayers());
        Settlement memory item = itemFor(config, "the stranger wins");
        bytes32 leaf = leafFor(config, item);
        expectRefused(STRANGER, leaf, 1, "");
        expectRefused(alice, leaf, 1, "");
        (uint64 claimId, ClaimHeader memory header) = post(leaf, 1, terms);
        passWindow();
        relayer.settle(claimId, header, item, 0, noProof());
        assertTrue(status(config.sessionId) == SessionStatus.Settled, "the operator's own");
    }

    /// @dev INVARIANT I1: nor by terms of his own, which are no session's.
    function test_I1_the_operator_is_the_sessions() public {
        SessionConfig memory config = openFrom(address(new QuietGame()), terms, twoPlayers());
        terms.operator = STRANGER;
        Settlement memory item = itemFor(config, "the stranger wins");
        ClaimHeader memory header = headerFor(leafFor(config, item), 1, terms);
        uint64 claimId = claimAs(STRANGER, header.root, 1, "");
        passWindow();
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongConfig.selector, config.sessionId));
        relayer.settle(claimId, header, item, 0, noProof());
    }

    function test_I1_the_operators_signature_is_for_one_claimant_and_claim() public {
        bytes32 termsHash = hashOf(terms);
        bytes memory signature = signed(OPERATOR_KEY, claimDigest(STRANGER, ROOT, 2, termsHash));
        expectRefused(alice, ROOT, 2, signature);
        expectRefused(STRANGER, keccak256("other"), 2, signature);
        expectRefused(STRANGER, ROOT, 1, signature);
        terms.challengeWindow -= 1;
        expectRefused(STRANGER, ROOT, 2, signature);
        terms.challengeWindow += 1;
        expectRefused(STRANGER, ROOT, 2, signed(ALICE_KEY, claimDigest(STRANGER, ROOT, 2, termsHash)));
        assertEq(claimAs(STRANGER, ROOT, 2, signature), 1, "as signed");
        assertEq(locked(STRANGER), 2 * uint256(BOND), "the claimant's bond");
    }

    /// @dev INVARIANT I8's counterpart for signatures.
    function test_I8_the_operators_signature_is_for_one_contract() public {
        bytes memory signature = signed(OPERATOR_KEY, claimDigest(STRANGER, ROOT, 1, hashOf(terms)));
        setUpRelayer();
        expectRefused(STRANGER, ROOT, 1, signature);
    }

    function test_an_operator_may_be_a_contract() public {
        terms.operator = address(new ContractPlayer(alice));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(ALICE_KEY, claimDigest(STRANGER, ROOT, 1, hashOf(terms)));
        expectRefused(STRANGER, ROOT, 1, abi.encode(r, s, v ^ 7));
        assertEq(claimAs(STRANGER, ROOT, 1, abi.encode(r, s, v)), 1, "EIP-1271");
    }

    function test_with_disputes_anybody_claims() public {
        terms = defaultTerms();
        assertEq(claimAs(STRANGER, ROOT, 1, ""), 1, "no signature");
    }
}
