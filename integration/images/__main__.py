from integration.images.build import main

main()
