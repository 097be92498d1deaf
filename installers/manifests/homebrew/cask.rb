cask "{{package}}" do
  version "{{version}}"
  sha256 "{{macos_installer_sum}}"

  url "{{downloads}}/{{macos_installer}}"
  name "{{name}}"
  desc "{{summary}}"
  homepage "{{homepage}}"

  depends_on macos: ">= :big_sur"

  pkg "{{macos_installer}}"

  uninstall quit:   "{{identifier}}",
            script: {
              executable: "/usr/local/bin/planetary-uninstall",
              args:       ["--keep-identity"],
              sudo:       true,
            }

  zap trash: [
    "~/Library/Application Support/{{identifier}}",
    "~/Library/Caches/{{identifier}}",
    "~/Library/WebKit/{{identifier}}",
  ]

  caveats <<~TEXT
    The node's key stays when the app is removed: it is your address. To remove it as well, before
    that: sudo planetary-uninstall --purge
  TEXT
end
