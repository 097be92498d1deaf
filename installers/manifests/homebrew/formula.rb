class Planetary < Formula
  desc "{{summary}}"
  homepage "{{homepage}}"
  url "{{downloads}}/{{macos_node}}"
  version "{{version}}"
  sha256 "{{macos_node_sum}}"
  license "{{licence}}"

  depends_on :macos

  def install
    bin.install "planetaryd", "planetary"
    system bin/"planetary", "manual", buildpath/"pages"
    man1.install Dir["pages/man/*.1"]
    zsh_completion.install Dir["pages/completions/_*"]
    fish_completion.install Dir["pages/completions/*.fish"]
  end

  service do
    run [opt_bin/"planetaryd", "run", "--tun", "none"]
    keep_alive successful_exit: false
  end

  def caveats
    <<~TEXT
      `brew services start planetary` runs a node without a network interface, with no right but
      yours. For one that all programs of this Mac can use: sudo #{opt_bin}/planetaryd install
    TEXT
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/planetary --version")
    assert_match "listen", shell_output("#{bin}/planetaryd genconf")
  end
end
