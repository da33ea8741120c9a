// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IZkRelayer} from "../src/interfaces/IZkRelayer.sol";
import {DataMode, SessionConfig, SessionStatus, Terms} from "../src/interfaces/Types.sol";
import {SessionHash} from "../src/libraries/SessionHash.sol";
import {RelayerFixture} from "./support/RelayerFixture.sol";

contract OpeningTest is RelayerFixture {
    function setUp() public {
        setUpRelayer();
    }

    function open(address[] memory players, uint64 deadline, Terms memory terms) private returns (uint64) {
        return relayer.openSession(templateId, hashOf(terms), players, "", deadline);
    }

    function register(Terms memory terms) private returns (bytes32) {
        return relayer.registerTerms(templateId, terms);
    }

    function expectWrongTerms(Terms memory terms) private {
        vm.expectRevert(IZkRelayer.WrongTerms.selector);
        register(terms);
    }

    function test_chain_ids_are_below_2_51_and_differ_between_relayers() public {
        uint64 base = relayer.chainIdBase();
        uint256 expected = (uint256(keccak256(abi.encode(block.chainid, address(relayer)))) & 0x7ffff) << 32;
        assertEq(base, expected, "base");
        assertTrue(uint256(base) + type(uint32).max < 1 << 51, "bound");
        bytes32 first = templateId;
        setUpRelayer();
        assertEq(first, templateId, "template ids don't depend on the relayer");
        assertTrue(relayer.chainIdBase() != base, "another relayer");
    }

    function test_a_template_can_be_registered_again() public {
        bytes32 id = relayer.registerTemplate(keccak256("state"), keccak256("data"), "elsewhere");
        assertEq(id, templateId, "id");
        assertEq(id, keccak256(abi.encode(keccak256("state"), keccak256("data"))), "definition");
        assertTrue(relayer.templateExists(id), "exists");
    }

    function test_sessions_are_numbered_from_1_and_open() public {
        Terms memory terms = defaultTerms();
        assertTrue(status(1) == SessionStatus.None, "none yet");
        SessionConfig memory first = openFrom(address(this), terms, twoPlayers());
        SessionConfig memory second = openFrom(address(this), terms, twoPlayers());
        assertEq(first.sessionId, 1, "first");
        assertEq(second.sessionId, 2, "second");
        assertEq(relayer.lastSessionId(), 2, "last");
        assertTrue(relayer.configHash(first) != relayer.configHash(second), "configurations differ");
    }

    /// @dev One storage word for a session: 248 bits of its configHash and the status.
    function testFuzz_a_session_takes_one_word(bytes32 hash) public pure {
        bytes32 word = SessionHash.word(hash, SessionStatus.Open);
        assertTrue(SessionHash.isConfig(word, hash), "its configuration");
        assertTrue(SessionHash.statusOf(word) == SessionStatus.Open && !SessionHash.hasMessages(word), "open");
        word = SessionHash.withMessages(word);
        word = SessionHash.withStatus(word, SessionStatus.Aborted);
        assertTrue(SessionHash.isConfig(word, hash), "still its configuration");
        assertTrue(SessionHash.statusOf(word) == SessionStatus.Aborted && SessionHash.hasMessages(word), "aborted");
        assertTrue(!SessionHash.isConfig(word, bytes32(uint256(hash) ^ 0x100)), "another configuration");
    }

    function test_configHash_is_that_of_the_protocol() public {
        SessionConfig memory config = openFrom(address(this), defaultTerms(), twoPlayers());
        bytes32 expected = keccak256(
            abi.encode(
                block.chainid,
                address(relayer),
                relayer.chainIdBase() + config.sessionId,
                config.termsHash,
                config.sessionId,
                config.openedAt,
                config.game,
                setupHashOf(config)
            )
        );
        assertEq(relayer.configHash(config), expected, "configHash");
    }

    function test_an_unknown_template_is_refused() public {
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.UnknownTemplate.selector, bytes32(uint256(5))));
        relayer.registerTerms(bytes32(uint256(5)), defaultTerms());
    }

    function test_terms_are_registered_with_a_template_once_for_all_sessions() public {
        Terms memory terms = defaultTerms();
        bytes32 other = relayer.registerTemplate(keccak256("other"), keccak256("data"), "");
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.UnknownTerms.selector, templateId, hashOf(terms)));
        open(twoPlayers(), defaultDeadline(), terms);
        assertTrue(!relayer.termsRegistered(templateId, hashOf(terms)), "not yet");
        vm.expectEmit(true, true, true, true);
        emit IZkRelayer.TermsRegistered(templateId, hashOf(terms), terms);
        assertEq(register(terms), hashOf(terms), "by their hash");
        register(terms);
        assertTrue(relayer.termsRegistered(templateId, hashOf(terms)), "registered");
        open(twoPlayers(), defaultDeadline(), terms);
        open(twoPlayers(), defaultDeadline(), terms);
        uint64 deadline = defaultDeadline();
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.UnknownTerms.selector, other, hashOf(terms)));
        relayer.openSession(other, hashOf(terms), twoPlayers(), "", deadline);
    }

    function test_an_opening_tells_all_about_the_session() public {
        Terms memory terms = defaultTerms();
        bytes32 termsHash = register(terms);
        uint64 deadline = defaultDeadline();
        vm.expectEmit(true, true, true, true);
        emit IZkRelayer.SessionOpened(1, address(this), templateId, deadline, termsHash, twoPlayers(), "init");
        relayer.openSession(templateId, termsHash, twoPlayers(), "init", deadline);
    }

    function test_players_are_1_to_16_none_zero_none_twice() public {
        Terms memory terms = defaultTerms();
        address[] memory sixteen = new address[](16);
        for (uint160 i; i < 16; ++i) sixteen[i] = address(i + 1);
        register(terms);
        open(sixteen, defaultDeadline(), terms);
        open(new address[](1), 0, terms, true);
        open(new address[](0), 0, terms, true);
        address[] memory seventeen = new address[](17);
        for (uint160 i; i < 17; ++i) seventeen[i] = address(i + 1);
        open(seventeen, 0, terms, true);
        sixteen[15] = sixteen[0];
        open(sixteen, 0, terms, true);
    }

    function open(address[] memory players, uint64, Terms memory terms, bool) private {
        uint64 deadline = defaultDeadline();
        vm.expectRevert(IZkRelayer.WrongPlayers.selector);
        open(players, deadline, terms);
    }

    function testFuzz_deadline_is_within_30_days(uint64 deadline) public {
        uint256 now_ = vm.getBlockTimestamp();
        bool valid = deadline > now_ && deadline <= now_ + 30 days;
        Terms memory terms = defaultTerms();
        register(terms);
        if (!valid) vm.expectRevert(abi.encodeWithSelector(IZkRelayer.WrongDeadline.selector, deadline));
        open(twoPlayers(), deadline, terms);
    }

    function test_deadline_bounds_to_the_second() public {
        uint64 now_ = uint64(vm.getBlockTimestamp());
        Terms memory terms = defaultTerms();
        register(terms);
        open(twoPlayers(), now_ + 1, terms);
        open(twoPlayers(), now_ + 30 days, terms);
        vm.expectPartialRevert(IZkRelayer.WrongDeadline.selector);
        open(twoPlayers(), now_, terms);
        vm.expectPartialRevert(IZkRelayer.WrongDeadline.selector);
        open(twoPlayers(), now_ + 30 days + 1, terms);
    }

    function test_init_data_is_capped() public {
        Terms memory terms = defaultTerms();
        bytes32 termsHash = register(terms);
        relayer.openSession(templateId, termsHash, twoPlayers(), new bytes(4096), defaultDeadline());
        uint64 deadline = defaultDeadline();
        vm.expectRevert(abi.encodeWithSelector(IZkRelayer.InitDataTooLarge.selector, 4097));
        relayer.openSession(templateId, termsHash, twoPlayers(), new bytes(4097), deadline);
    }

    function test_terms_have_an_operator() public {
        Terms memory terms = defaultTerms();
        terms.operator = address(0);
        expectWrongTerms(terms);
    }

    /// @dev INVARIANT I1, I2, I3, I4: every range and relation of docs/protocol.md, section 10.
    function testFuzz_terms_are_within_their_ranges(
        uint32 window,
        uint32 inclusion,
        uint32 abortDelay,
        uint32 callbackGas,
        uint8 mode
    ) public {
        Terms memory terms = defaultTerms();
        // Most values near a bound.
        if (mode & 1 == 0) window = uint32(bound(window, 0, 8 days));
        if (mode & 2 == 0) inclusion = uint32(bound(inclusion, 0, 2 days));
        if (mode & 4 == 0) abortDelay = uint32(bound(abortDelay, window, uint256(window) + 2 hours) % 2 ** 32);
        if (mode & 8 == 0) callbackGas = uint32(bound(callbackGas, 40_000, 2_100_000));
        terms.challengeWindow = window;
        terms.inclusionDelay = inclusion;
        terms.abortDelay = abortDelay;
        terms.callbackGas = callbackGas;
        bool valid = window >= MIN_WINDOW && window <= 7 days && inclusion >= MIN_WINDOW / 6 && inclusion <= 1 days
            && abortDelay >= uint256(window) + 1 hours && abortDelay <= 60 days && callbackGas >= 50_000
            && callbackGas <= 2_000_000;
        if (!valid) return expectWrongTerms(terms);
        register(terms);
        open(twoPlayers(), defaultDeadline(), terms);
    }

    function test_bounds_of_terms_to_the_unit() public {
        Terms memory terms = defaultTerms();
        (terms.challengeWindow, terms.inclusionDelay, terms.abortDelay, terms.callbackGas) =
            (MIN_WINDOW, MIN_WINDOW / 6, MIN_WINDOW + 1 hours, 50_000);
        register(terms);
        terms.abortDelay -= 1;
        expectWrongTerms(terms);
        (terms.challengeWindow, terms.inclusionDelay, terms.abortDelay, terms.callbackGas) =
            (7 days, 1 days, 60 days, 2_000_000);
        register(terms);
        terms.callbackGas += 1;
        expectWrongTerms(terms);
    }
}
