rhost=client.example.org
