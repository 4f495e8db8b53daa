"""pamtester on a service of its own that has the module in one line or in two.

Uses: host, ssh.
"""

import host
from ssh import run

SERVICE = "boxed"
ONE_LINE = ["required pam_permit.so", "required pam_loginbox.so"]
TWO_LINES = ["required pam_loginbox.so close", "required pam_permit.so",
             "required pam_loginbox.so open"]


def pamtester(user, *operations, lines=None):
    host.write_service(SERVICE, lines or TWO_LINES)
    return run(["pamtester", SERVICE, user, *operations], timeout=90)
