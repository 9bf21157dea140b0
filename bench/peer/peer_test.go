package peer_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/acumen-ml/acumen/bench/peer"
)

// The test binary is its own peer.
func TestMain(m *testing.M) {
	switch os.Getenv("ACUMEN_TEST_PEER") {
	case "":
		os.Exit(m.Run())
	case "mute":
		fmt.Fprintln(os.Stderr, "no such library")
		os.Exit(3)
	case "babble":
		fmt.Println("hello")
		os.Exit(0)
	}
	open := 0
	err := peer.Serve(os.Stdin, os.Stdout, "sleeper 1.2", func(c peer.Case, threads int) (peer.Work, error) {
		switch c.Kind {
		case "sleep":
			open++
			return peer.Work{Call: func() { time.Sleep(time.Duration(c.N) * time.Millisecond) }, Close: func() { open-- }}, nil
		case "open": // fails unless so many cases are open
			if open != c.N {
				return peer.Work{}, fmt.Errorf("%d are open", open)
			}
			return peer.Work{Call: func() {}}, nil
		case "panic":
			return peer.Work{Call: func() { panic("out of paper") }}, nil
		case "die":
			return peer.Work{Call: func() { fmt.Fprintln(os.Stderr, "dying"); os.Exit(1) }}, nil
		}
		return peer.Work{}, &peer.LacksError{Peer: "sleeper", Reason: "no " + c.Kind}
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func start(t *testing.T, how string) (*peer.Peer, error) {
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "ACUMEN_TEST_PEER="+how)
	return peer.Start("sleeper", cmd)
}

func TestAPeerTimesCases(t *testing.T) {
	p, err := start(t, "good")
	require.NoError(t, err)
	assert.Equal(t, "sleeper 1.2", p.About)
	began := time.Now()
	d, err := p.Time(peer.Case{Kind: "sleep", N: 20}, 1, 1, 2)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, d, 20*time.Millisecond)
	assert.GreaterOrEqual(t, time.Since(began), 60*time.Millisecond, "one call is not counted")
	assert.Less(t, d, time.Since(began)*2/3, "the time of one call, not of all")

	_, err = p.Time(peer.Case{Kind: "sleep", N: 1}, 2, 0, 1)
	require.NoError(t, err)
	_, err = p.Time(peer.Case{Kind: "open", N: 2}, 1, 0, 1)
	require.NoError(t, err, "both cases are kept")
	require.NoError(t, p.Drop())
	_, err = p.Time(peer.Case{Kind: "open", N: 0}, 1, 0, 1)
	require.NoError(t, err, "Drop closes them")

	_, err = p.Time(peer.Case{Kind: "fly"}, 1, 0, 1)
	var lacks *peer.LacksError
	require.ErrorAs(t, err, &lacks)
	assert.Contains(t, err.Error(), "no fly")
	_, err = p.Time(peer.Case{Kind: "panic"}, 1, 0, 1)
	require.ErrorContains(t, err, "out of paper")
	require.NotErrorAs(t, err, &lacks)
	_, err = p.Time(peer.Case{Kind: "sleep"}, 0, 0, 1)
	require.ErrorContains(t, err, "not a request")

	_, err = p.Time(peer.Case{Kind: "sleep", N: 1}, 1, 0, 1)
	require.NoError(t, err, "it goes on after errors")
	require.NoError(t, p.Close())
}

func TestPeersThatFail(t *testing.T) {
	_, err := start(t, "mute")
	require.ErrorContains(t, err, "sleeper ended")
	assert.ErrorContains(t, err, "no such library", "what it said is there")
	_, err = start(t, "babble")
	require.ErrorContains(t, err, "invalid character")

	p, err := start(t, "good")
	require.NoError(t, err)
	_, err = p.Time(peer.Case{Kind: "die"}, 1, 0, 1)
	require.ErrorContains(t, err, "ended while it was asked to time")
	var ended *peer.EndedError
	require.ErrorAs(t, err, &ended)
	assert.Contains(t, ended.Said, "dying")
	require.Error(t, p.Close())

	_, err = peer.Start("nobody", exec.Command("/nonexistent/peer"))
	require.ErrorContains(t, err, "nobody")
}

func TestServeRefusesWhatIsNoRequest(t *testing.T) {
	var out strings.Builder
	require.NoError(t, peer.Serve(strings.NewReader("{\n{\"do\":\"fly\"}\nrest"), &out, "x", nil))
	lines := strings.Split(out.String(), "\n")
	require.Len(t, lines, 3)
	assert.Contains(t, lines[0], "unexpected end of JSON")
	assert.Contains(t, lines[1], "not a request")
}
